"""One promise about one lead: how its time runs, when it is due, and what is to be told when. No database.

A clock counts the time in which it runs: business time on a calendar, or all time. It is due at the first instant at
which its target has been counted; an answer at that very instant is in time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from crm.calendars.rules import ALWAYS, Calendar, NeverOpens
from crm.sla.rules import Kind, Rule

FAR = datetime(9999, 1, 1, tzinfo=UTC)
"""No instant that comes: the calendar is closed for good, or nearly (the driver takes `datetime.max` for infinity)."""
BREACH = "breach"


class State(StrEnum):
    """How a clock stands. `breached` stays so when it is answered late."""

    running = "running"
    paused = "paused"
    met = "met"
    breached = "breached"
    cancelled = "cancelled"


@dataclass(slots=True)
class Clock:
    """One promise about one lead. `counted`: the time that had run by `since`, in the clock's own time.

    `team_id`, whose promise it is, and `calendar` stay as they were when it ended or was breached. `due_at` is None
    while it is paused; `fired` are the steps that have come, with their instants.
    """

    id: UUID
    kind: Kind
    cycle_no: int
    version: int
    rule: Rule | None
    started_at: datetime
    team_id: UUID | None
    calendar: Calendar
    state: State = State.running
    counted: timedelta = timedelta()
    since: datetime = FAR
    due_at: datetime | None = None
    breached_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    check_in_id: UUID | None = None
    status: str = ""
    repeats_left: int = 0
    pauses: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    fired: dict[str, datetime] = field(default_factory=dict)
    next_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it still waits for something."""
        return self.ended_at is None

    @property
    def basis(self) -> Calendar:
        """The calendar on which this clock counts."""
        return ALWAYS if self.rule is None or self.rule.time == "calendar" else self.calendar

    @property
    def target(self) -> timedelta:
        """How much time there is."""
        return timedelta(seconds=self.rule.target_s if self.rule else 0)

    @property
    def steps(self) -> Iterator[tuple[str, timedelta]]:
        """Yield what is to be told and when, relative to the instant at which the clock is due."""
        for seconds in self.rule.reminders if self.rule else ():
            yield f"reminder:{seconds}", timedelta(seconds=seconds)
        for each in self.rule.escalations if self.rule else ():
            yield f"escalation:{each.to}", timedelta(seconds=each.after_s)

    def moment(self, before_due: timedelta) -> datetime:
        """Return the instant at which so much is left, as things stand; before `since` nothing comes any more."""
        if self.kind is Kind.check_in:
            assert self.due_at is not None, "a check-in is agreed for an instant"
            return max(self.since, self.due_at - before_due)
        left = (self.target - before_due - self.counted).total_seconds()
        return _after(self.basis, self.since, left)

    def upcoming(self) -> Iterator[tuple[datetime, bool, str]]:
        """Yield the steps that have not come yet, each with its instant; the breach stands before what follows it."""
        if self.state is State.running and self.due_at is not None:
            yield self.due_at, True, BREACH
        for name, offset in self.steps:
            if name in self.fired:
                continue
            if offset < timedelta() and self.state is State.running:
                yield self.moment(-offset), False, name
            elif offset >= timedelta() and self.breached_at is not None:
                yield _after(self.basis, self.breached_at, offset.total_seconds()), True, name

    def advance(self, until: datetime, *, including: bool) -> None:
        """Let time pass: fire, in their order, the steps that come until an instant (that instant itself if told)."""
        while self.is_open:
            coming = min(self.upcoming(), default=None)
            if coming is None or coming[0] > until or (coming[0] == until and not including):
                break
            at, _, name = coming
            self.fired[name] = at
            if name == BREACH:
                self._count(at)
                self.state, self.breached_at = State.breached, at
        self._count(until)

    def _count(self, until: datetime) -> None:
        """Count what has run, as long as the clock runs."""
        if self.state is State.running and until > self.since:
            self.counted += timedelta(seconds=self.basis.open_seconds(self.since, until))
            self.since = until

    def plan(self, at: datetime) -> None:
        """Work out anew when the clock is due, from an instant on at which something about it changed."""
        if self.state is State.running and self.kind is not Kind.check_in:
            self.since = at
            self.due_at = self.moment(timedelta())

    def end(self, at: datetime, state: State, reason: str) -> None:
        """End the clock; one that was breached stays breached, late by what passed since."""
        if self.pauses and self.pauses[-1][1] is None:
            self.pauses[-1] = (self.pauses[-1][0], at)
        self.ended_at, self.end_reason = at, reason
        if self.state is not State.breached:
            self.state = state

    def pause(self, at: datetime) -> None:
        """Stand still."""
        if self.state is State.running and self.kind is not Kind.check_in:
            self.state, self.due_at = State.paused, None
            self.pauses.append((at, None))

    def resume(self, at: datetime) -> None:
        """Go on with what was left."""
        if self.state is State.paused:
            self.state = State.running
            self.pauses[-1] = (self.pauses[-1][0], at)
            self.plan(at)


def _after(calendar: Calendar, since: datetime, seconds: float) -> datetime:
    try:
        return calendar.after(since, seconds)
    except NeverOpens:
        return FAR
