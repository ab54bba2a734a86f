"""What to do next with a lead, and why (LEAD-8): pure rules from facts to an ordered list. No database, no clock.

Nothing is suggested that the tenant's machine or the person's consent does not allow; an open lead always has a next
step; the same facts give the same answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from crm.followups.steps import Code, Reason, Step
from crm.leads.lifecycle import Needed
from crm.leads.rules import TERMINAL, Status

PATIENCE = 5
"""Attempts without an answer after which a lead is rather given up."""
BACK_OFF = (timedelta(hours=2), timedelta(hours=6), timedelta(hours=24), timedelta(hours=48))
"""How long to wait after the first, second, … attempt that nobody answered; the last one holds for all after it."""
NURSE = timedelta(days=1)
"""How long a lead that spoke with us rests before it is taken up again."""
QUOTE_RESTS = timedelta(days=2)
"""How long a quote is left to be thought over."""
WARN_BEFORE = timedelta(days=1)
"""How long before a quote expires its customer hears of it."""
UNANSWERED = frozenset({"no_answer", "busy", "voicemail", "sent", "failed", "unreachable"})
"""Outcomes of attempts that reached nobody."""


MOVES: dict[Code, Status] = {
    Code.record_sale: Status.won,
    Code.qualify: Status.qualified,
    Code.close_lost: Status.lost,
    Code.reopen: Status.recycled,
}
"""Steps that move the lead, and where to: the machine must have that way."""
CONTACTS = (Code.call, Code.whatsapp, Code.email)
"""Steps that contact the person, by the name of the channel."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest quote of a lead's cycle: how it stands, since when, until when (UTC)."""

    status: str
    since: datetime
    valid_until: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether it is over by its own words."""
        return self.valid_until is not None and self.valid_until <= now


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A pending check-in. `day`: after the procedure; `due_at` UTC."""

    id: UUID
    day: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """What the customer wrote or called about, and nobody of ours has answered: through which channel, since when."""

    channel: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a lead at one instant. Instants are UTC.

    `began_at`: when the enquiry came, or was reopened; `unowned_since`: None while somebody has it.
    `may_become`: what the machine allows a person from here; `required`: what `lost` and the others ask for.
    `channels`: ways in which the person may be contacted about the enquiry, each with the first instant at which it is
    allowed; `service_channels`: the same about what was sold.
    `attempts`: outbound calls and messages by people in this cycle; `unanswered`: those in a row, up to the last.
    `spoke_at`: when we last met or spoke, whoever began it; `ask`: the oldest of what the customer waits for.
    """

    status: Status
    status_since: datetime
    began_at: datetime
    unowned_since: datetime | None = None
    may_become: frozenset[Status] = frozenset()
    required: Mapping[Status, frozenset[Needed]] = field(default_factory=dict)
    channels: Mapping[str, datetime] = field(default_factory=dict)
    service_channels: Mapping[str, datetime] = field(default_factory=dict)
    attempts: int = 0
    unanswered: int = 0
    last_attempt_at: datetime | None = None
    last_outcome: str | None = None
    spoke_at: datetime | None = None
    ask: Ask | None = None
    quote: Quote | None = None
    check_ins: tuple[CheckIn, ...] = ()
    has_procedure_day: bool = False


def suggest(facts: Facts, now: datetime) -> list[Step]:
    """Return what to do next, the most urgent first: what is due by its instant, then what is to come."""
    found: dict[Code, Step] = {}
    for step in _candidates(facts, now):
        if step.code not in found and _is_allowed(step, facts):
            found[step.code] = step
    if not found and facts.status not in TERMINAL:
        found[Code.review] = Step(Code.review, Reason.nothing_else, {"days": (now - facts.status_since).days})
    steps = list(found.values())
    return [step for step in steps if _is_due(step, now)] + sorted(
        (step for step in steps if not _is_due(step, now)), key=lambda step: step.due_at or now
    )


def _is_due(step: Step, now: datetime) -> bool:
    return step.due_at is None or step.due_at <= now


def _is_allowed(step: Step, facts: Facts) -> bool:
    if step.code in CONTACTS:
        return step.code.value in facts.channels
    if step.code is Code.follow_up_quote:
        return bool(facts.channels)
    return step.code not in MOVES or MOVES[step.code] in facts.may_become


def _candidates(facts: Facts, now: datetime) -> Iterator[Step]:
    """Yield suggestions in the order of their weight; the first of a kind counts."""
    for check_in in sorted(facts.check_ins, key=lambda each: (each.due_at, each.day)):
        for channel, opens in _in_order(facts.service_channels):
            figures = {"check_in_id": check_in.id, "day": check_in.day, "channel": channel}
            yield Step(Code.check_in, Reason.check_in_scheduled, figures, max(check_in.due_at, opens))
    if facts.status is Status.won:
        if not facts.has_procedure_day:
            yield Step(Code.plan_procedure, Reason.sold_without_day, {"days": (now - facts.status_since).days})
        return
    if facts.status is Status.lost:
        yield _move(Code.reopen, Reason.was_lost, {"days": (now - facts.status_since).days}, facts)
        return
    if facts.unowned_since is not None:
        yield Step(Code.assign, Reason.unowned, {"hours": _hours(now - facts.unowned_since)})
    yield from _of_the_number(facts)
    yield from _of_the_quote(facts, now)
    yield from _of_attempts(facts, now)


def _of_the_number(facts: Facts) -> Iterator[Step]:
    if facts.status is Status.wrong_number:
        if "email" in facts.channels:
            yield _contact(Code.email, Reason.wrong_number, {}, None, facts)
        yield Step(Code.find_address, Reason.wrong_number)
        yield _move(Code.close_lost, Reason.wrong_number, {}, facts)
    elif facts.status is Status.blocked:
        yield _move(Code.close_lost, Reason.blocked, {}, facts)


def _of_the_quote(facts: Facts, now: datetime) -> Iterator[Step]:
    quote = facts.quote
    is_declined = quote is not None and quote.status == "declined"
    if quote is None or is_declined or quote.status in ("superseded", "withdrawn"):
        if facts.status in (Status.qualified, Status.proposal):
            yield Step(
                Code.make_quote, Reason.quote_declined if quote and quote.status == "declined" else Reason.no_quote
            )
        if quote and quote.status == "declined":
            yield _move(Code.close_lost, Reason.quote_declined, {}, facts)
    elif quote.status == "accepted":
        yield _move(Code.record_sale, Reason.quote_accepted, {"days": (now - quote.since).days}, facts)
    elif quote.is_expired(now):
        yield Step(Code.renew_quote, Reason.quote_expired, {"valid_until": quote.valid_until})
    else:
        due = quote.since + QUOTE_RESTS
        if quote.valid_until is not None:
            due = max(quote.since, min(due, quote.valid_until - WARN_BEFORE))
        figures = {"days": (now - quote.since).days, "valid_until": quote.valid_until}
        yield Step(Code.follow_up_quote, Reason.quote_open, figures, due)


def _of_attempts(facts: Facts, now: datetime) -> Iterator[Step]:
    """Suggest the next contact: at once when nobody tried or the customer waits, else after a pause."""
    if facts.status in (Status.wrong_number, Status.blocked):
        return
    if facts.ask is not None:
        yield from _answers(facts, facts.ask, now)
    elif facts.unanswered and facts.last_attempt_at is not None:
        yield from _of_silence(facts, facts.last_attempt_at)
    elif spoke_at := facts.spoke_at or facts.last_attempt_at:
        yield from _of_talk(facts, spoke_at)
    else:
        figures = {"minutes": _minutes(now - facts.began_at)}
        for code in CONTACTS:
            yield _contact(code, Reason.not_tried, figures, None, facts)


def _answers(facts: Facts, ask: Ask, now: datetime) -> Iterator[Step]:
    """Answer the customer, rather through the channel they took."""
    figures = {"minutes": _minutes(now - ask.since), "channel": ask.channel}
    for code in sorted(CONTACTS, key=lambda code: code.value != ask.channel):
        yield _contact(code, Reason.asked, figures, None, facts)


def _of_silence(facts: Facts, last_attempt_at: datetime) -> Iterator[Step]:
    """Try again after a pause that grows, or give up."""
    tried = _tried(facts)
    if facts.unanswered >= PATIENCE:
        yield _move(Code.close_lost, Reason.not_reached, tried, facts)
        return
    due = last_attempt_at + BACK_OFF[min(facts.unanswered, len(BACK_OFF)) - 1]
    # Who does not answer the telephone is written to as well, where that is allowed.
    order = CONTACTS if facts.unanswered < 2 else (Code.whatsapp, Code.call, Code.email)
    for code in order:
        yield _contact(code, Reason.not_reached, tried, due, facts)


def _of_talk(facts: Facts, spoke_at: datetime) -> Iterator[Step]:
    """Go on where the last talk ended."""
    tried = _tried(facts)
    if facts.status is Status.not_interested:
        yield _move(Code.close_lost, Reason.not_interested, tried, facts)
        return
    if facts.status is Status.interested:
        yield _move(Code.qualify, Reason.interested, tried, facts)
    for code in CONTACTS:
        yield _contact(code, Reason.keep_talking, tried, spoke_at + NURSE, facts)


def _tried(facts: Facts) -> dict[str, object]:
    return {"attempts": facts.attempts, "unanswered": facts.unanswered, "outcome": facts.last_outcome}


def _in_order(channels: Mapping[str, datetime]) -> list[tuple[str, datetime]]:
    """Return the allowed channels, the most personal first."""
    return [(code.value, channels[code.value]) for code in CONTACTS if code.value in channels]


def _hours(span: timedelta) -> int:
    return span // timedelta(hours=1)


def _minutes(span: timedelta) -> int:
    return span // timedelta(minutes=1)


def _contact(code: Code, reason: Reason, figures: Mapping[str, object], due_at: datetime | None, facts: Facts) -> Step:
    """Return a contact, not before it is allowed."""
    opens = facts.channels.get(code.value)
    if opens is not None:
        due_at = opens if due_at is None else max(due_at, opens)
    return Step(code, reason, figures, due_at)


def _move(code: Code, reason: Reason, figures: Mapping[str, object], facts: Facts) -> Step:
    needs = facts.required.get(MOVES[code], frozenset())
    return Step(code, reason, figures, needs=tuple(each for each in Needed if each in needs))
