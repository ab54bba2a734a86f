"""The facts of one call, put in order, and the questions asked of them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from crm.calls.facts import (
    DialBegan,
    DialEnded,
    Dialled,
    Fact,
    LegAnswered,
    LegEnded,
    OriginateEnded,
    QueueJoined,
    RecordWritten,
    Vanished,
)

F = TypeVar("F", bound=Fact)


class Direction(StrEnum):
    """Who is connected first."""

    agent_first = "agent_first"
    """Click to call: the agent's telephone, then the customer."""
    customer_first = "customer_first"
    """Predictive: the customer, then whoever is free."""
    inbound = "inbound"


class Known:
    """The facts of a call in the order of their time, each once, and the questions asked of them."""

    def __init__(self, call_id: str, direction: Direction, facts: Iterable[Fact]) -> None:
        self.call_id = call_id
        self.direction = direction
        self.facts: list[Fact] = sorted(set(facts), key=lambda fact: (fact.at, repr(fact)))
        self.customer = self._customer()
        """The customer's leg; empty as long as nobody has dialled it."""

    def _customer(self) -> str:
        if self.direction is not Direction.agent_first:
            return self.call_id
        for fact in self.facts:
            if isinstance(fact, DialBegan | DialEnded) and fact.by_leg == self.call_id:
                return fact.leg_id
        return ""

    def all(self, *kinds: type[F], leg: str | None = None) -> list[F]:
        """Return the facts of some kinds, of one leg or of all."""
        return [fact for fact in self.facts if isinstance(fact, kinds) and leg in (None, fact.leg_id)]

    def first(self, kind: type[F], leg: str | None = None) -> F | None:
        """Return the earliest fact of a kind."""
        return next(iter(self.all(kind, leg=leg)), None)

    def answered_at(self, leg: str) -> datetime | None:
        """Return when a leg answered; None when it did not, or is none."""
        if not leg:
            return None
        told = [fact.at for fact in self.all(LegAnswered, leg=leg)]
        told += [fact.at for fact in self.all(DialEnded, leg=leg) if fact.dialled is Dialled.answer]
        told += [fact.at for fact in self.all(OriginateEnded, leg=leg) if fact.has_succeeded]
        if not told and self.all(Vanished):  # what was not heard may have been written down
            records = self.all(RecordWritten, leg=leg)
            told = [each.at - timedelta(seconds=each.billable_s) for each in records if each.dialled is Dialled.answer]
        return min(told, default=None) or self._was_up_at(leg)

    def _was_up_at(self, leg: str) -> datetime | None:
        """Return when a leg is known to have been up whose answer was not heard: in a queue, or at its end."""
        ended = self.first(LegEnded, leg)
        if ended is None or not ended.was_up:
            return None
        joined = self.first(QueueJoined, leg)
        return joined.at if joined else ended.at

    def refused(self) -> OriginateEnded | None:
        """Return the exchange's word that what we asked for came to nothing."""
        told = (fact for fact in self.all(OriginateEnded) if fact.leg_id in ("", self.call_id))
        return next((fact for fact in told if not fact.has_succeeded), None)
