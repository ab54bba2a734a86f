"""Who works, on what, and when: an agent's agenda of leads. Pure; what is done with a lead is the desk's (`desk`)."""

import heapq
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from cli.demo import hours
from cli.demo.market import Arrival
from crm.leads.rules import Status
from crm.money import Money

SOON = timedelta(days=2)
"""What is due within this time goes to colleagues when an agent falls ill."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One person of the sales floor. `skill` and `pace` are 1 for the ordinary; hours are Istanbul's."""

    name: str
    email: str
    team: str
    skill: float
    pace: float
    weight: int
    capacity: int
    opens: int
    closes: int
    sundays: bool
    off: frozenset[date] = frozenset()
    speaks_german: bool = False


@dataclass
class Case:
    """One lead in an agent's hands: where it stands and its own stream of chance."""

    arrival: Arrival
    rng: Random
    step: str = "attempt"
    attempts: int = 0
    tries: int = 0
    status: Status = Status.assigned
    replied_at: datetime | None = None
    price: Money | None = None
    priced_until: datetime | None = None
    treated_on: date | None = None
    looked_after: int = 0

    @property
    def number(self) -> int:
        """The lead's place in the month."""
        return self.arrival.number


Entry = tuple[datetime, int, Case]


@dataclass
class Agenda:
    """The leads in an agent's hands, from `since` on, each with the instant (UTC) at which it wants something."""

    agent: Agent
    since: datetime
    _waiting: list[Entry] = field(default_factory=list)
    _fresh: list[Entry] = field(default_factory=list)
    _due: list[Entry] = field(default_factory=list)

    def put(self, case: Case, due: datetime, step: str | None = None) -> None:
        """Plan what a lead wants next, and when; the step it stands at stays when none is named."""
        case.step = step or case.step
        heapq.heappush(self._waiting, (due, case.number, case))

    def hand_over(self, at: datetime) -> list[Case]:
        """Take everything due soon off the agenda, for colleagues to go on with."""
        entries = [*self._waiting, *self._fresh, *self._due]
        self._fresh, self._due = [], []
        self._waiting = [each for each in entries if each[0] > at + SOON]
        heapq.heapify(self._waiting)
        return [case for due, _, case in entries if due <= at + SOON]

    def next_start(self, free: datetime) -> datetime | None:
        """Return when the agent, free from an instant on, begins the next piece of work; None: nothing is planned."""
        self._wake(free)
        if self._fresh or self._due:
            return self.at_work(free)
        return self.at_work(max(free, self._waiting[0][0])) if self._waiting else None

    def take_next(self, start: datetime) -> Case:
        """Take the lead off the agenda that is worked on at an instant at which one is due."""
        self._wake(start)
        return heapq.heappop(self._fresh or self._due)[2]

    def at_work(self, at: datetime) -> datetime:
        """Return the first instant from `at` on at which the agent works: in the shift, not at lunch."""
        agent = self.agent
        start = hours.next_working(at, opens=agent.opens, closes=agent.closes, off=agent.off, sundays=agent.sundays)
        local = start.astimezone(hours.ZONE)
        noon = 12 + (agent.opens - 9) // 2
        if (noon, 30) <= (local.hour, local.minute) < (noon + 1, 15):
            start = local.replace(hour=noon + 1, minute=15, second=0, microsecond=0).astimezone(hours.UTC)
        return start

    def _wake(self, at: datetime) -> None:
        """Move what is due to the two piles an agent works from: new leads first, the newest of them on top."""
        while self._waiting and self._waiting[0][0] <= at:
            due, number, case = heapq.heappop(self._waiting)
            if case.step == "attempt" and case.attempts == 0:
                heapq.heappush(self._fresh, (self.since - (due - self.since), number, case))
            else:
                heapq.heappush(self._due, (due, number, case))
