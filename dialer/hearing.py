"""From messages to facts that can be told: whose call each is about, and what each channel is called."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crm.calls.facts import Fact, LegEnded, MemberChanged, OriginateEnded
from dialer.ami.messages import Message
from dialer.ami.translate import translate

REMEMBERED = 50_000
"""Legs whose call is known; the oldest are forgotten first."""
CREDIBLE = timedelta(days=1)
"""How far what is told may lie from now."""
EARLY_CALLS, EARLY_FACTS = 1_000, 20
"""Calls that are none of ours (yet) of which something is kept, and how much."""
ARRIVED = "Arrived"
"""What the dialplan tells of a customer who comes in, and of the queue their number dialled leads to."""
OF_CALL = "DIALER_CALL_ID"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A customer is calling: the exchange's id of the call, the number as the network shows it, the queue dialled."""

    name: str
    number: str = field(repr=False)
    queue: str | None
    at: datetime


class Ear:
    """Remembers which leg is of which call, since not every message says so."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, str] = OrderedDict()
        self._names: OrderedDict[str, str] = OrderedDict()

    def expect(self, leg_id: str, call_name: str) -> None:
        """Know a leg before it is heard of: one we asked for (also by the ask's id, which its answer bears)."""
        _keep(self._calls, leg_id, call_name)

    def name_of(self, leg_id: str) -> str:
        """Return the channel's name of a leg, the leg's id itself while it has none."""
        return self._names.get(leg_id, leg_id)

    def meet(self, leg_id: str, call_name: str, channel: str) -> None:
        """Know a leg and its channel's name."""
        _keep(self._calls, leg_id, call_name)
        _keep(self._names, leg_id, channel)

    def arrival(self, message: Message, *, now: datetime) -> Arrival | None:
        """Return the call of a customer that this message begins; None when it begins none."""
        if message["userevent"] != ARRIVED or not message["uniqueid"] or message.variables.get(OF_CALL):
            return None
        return Arrival(message["linkedid"], message["calleridnum"], message["queue"], credible(message.at or now, now))

    def fact(self, message: Message, *, now: datetime) -> Fact | None:
        """Return what a message tells, with the call it is about where that can be known."""
        fact = translate(message, now=now)
        if fact is None or isinstance(fact, MemberChanged):
            return fact
        if message["channel"] and fact.leg_id and fact.leg_id == message["uniqueid"]:
            _keep(self._names, fact.leg_id, message["channel"])
        named = self._calls.get(fact.leg_id)
        if isinstance(fact, OriginateEnded):
            named = self._calls.get(fact.action_id) or named
            # An id that was in use already: the answer names the other call's leg, which has nothing to do with it.
            fact = replace(fact, leg_id=fact.leg_id or named or "")
        call_name = named or fact.call_id
        if not call_name:
            return None
        if fact.leg_id:
            _keep(self._calls, fact.leg_id, call_name)
        if isinstance(fact, LegEnded):
            self._names.pop(fact.leg_id, None)
        return replace(fact, call_id=call_name, at=credible(fact.at, now))

    def facts(self, messages: Iterable[Message], *, now: datetime) -> list[Fact]:
        """Return the facts of several messages, in order."""
        return [fact for message in messages if (fact := self.fact(message, now=now))]


class Early:
    """What was told of calls that nobody knew then: of a customer's call its channel comes before its arrival."""

    def __init__(self) -> None:
        self._facts: OrderedDict[str, list[Fact]] = OrderedDict()

    def keep(self, facts: Iterable[Fact]) -> None:
        """Keep facts for a while; of one call no more than a beginning has."""
        for fact in facts:
            of_call = self._facts.setdefault(fact.call_id, [])
            if len(of_call) < EARLY_FACTS:
                of_call.append(fact)
        while len(self._facts) > EARLY_CALLS:
            self._facts.popitem(last=False)

    def of(self, call_name: str) -> list[Fact]:
        """Return what was told of a call."""
        return self._facts.get(call_name, [])


def _keep(known: OrderedDict[str, str], key: str, value: str) -> None:
    known[key] = value
    if len(known) > REMEMBERED:
        known.popitem(last=False)


def credible(at: datetime, now: datetime) -> datetime:
    """Return when something happened by the exchange's clock; when that cannot be true, it is now."""
    return at if abs(at - now) < CREDIBLE else now
