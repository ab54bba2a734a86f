"""The clocks of one lead, worked out from what happened to it: a pure function of the log, the rules and calendars.

Since every clock follows from the events alone, by the instants at which things happened, it does not matter when, in
which order, or how often they are read. Business time counts on the calendar of the team that has the lead at each
moment.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from crm.calendars.rules import Calendar
from crm.events.log import Event
from crm.sla.clock import Clock, State
from crm.sla.rules import ENDS, Facts, Kind, Priority, RuleSet, in_force

NAMES = UUID("0b0d5c0e-4c1c-5a55-9a3b-7a2d1f6f6a10")
"""Under this name space a clock's id follows from its lead and what began it."""
NOT_A_MISS = frozenset({"duplicate", "test", "opted_out"})
"""Reasons of a loss for which nobody is blamed that no one answered."""


@dataclass
class Lead:
    """One lead while its events are read, in the order in which they happened."""

    id: UUID
    sets: Sequence[RuleSet]
    calendar_of: Callable[[UUID | None], Calendar]
    facts: Facts = field(default_factory=lambda: Facts(status="new"))
    cycle_no: int = 1
    owner_id: UUID | None = None
    clocks: list[Clock] = field(default_factory=list)

    def created(self, event: Event) -> None:
        """Begin the first cycle."""
        payload = event.payload
        self.cycle_no = payload.get("cycle_no") or 1
        self.facts = replace(self.facts, status=payload["status"], campaign=payload.get("campaign"))
        if self.facts.status not in ENDS:
            self._open_first_response(event)
            self._open_follow_up(event, None)

    def assigned(self, event: Event) -> None:
        """Go into other hands: clocks go on, on the calendar and under the rule of the team that has the lead now."""
        self.owner_id = _uuid(event.payload.get("user_id"))
        self._with(event, team_id=_uuid(event.payload.get("team_id")))

    def prioritised(self, event: Event) -> None:
        """Matter more or less: open clocks come under the rule for it."""
        self._with(event, priority=Priority(event.payload["priority"]))

    def status_changed(self, event: Event) -> None:
        """Pause, resume and end what the status decides, and begin what it promises."""
        at, status, cycle_no = event.occurred_at, event.payload["to"], event.payload.get("cycle_no") or self.cycle_no
        self._advance(at)
        self.facts = replace(self.facts, status=status)
        for clock in self._open():
            if clock.kind is not Kind.check_in:
                self._under_status(clock, event, new_cycle=cycle_no != self.cycle_no)
        began_cycle, self.cycle_no = cycle_no != self.cycle_no, cycle_no
        if status in ENDS:
            return
        if began_cycle:
            self._open_first_response(event)
        if not any(each.kind is Kind.follow_up and each.status == status for each in self._open()):
            self._open_follow_up(event, None)

    def _under_status(self, clock: Clock, event: Event, *, new_cycle: bool) -> None:
        at, status = event.occurred_at, self.facts.status
        if clock.kind is Kind.first_response and (status in ENDS or new_cycle):
            forgiven = event.payload.get("reason") in NOT_A_MISS
            clock.end(at, State.cancelled, "forgiven" if forgiven else "closed_unanswered")
        elif clock.kind is Kind.follow_up and status in ENDS:
            clock.end(at, State.met, "closed")
        elif clock.rule and status in clock.rule.pause_in:
            clock.pause(at)
        elif clock.kind is Kind.follow_up and status != clock.status:
            clock.end(at, State.met, "status")
        else:
            clock.resume(at)

    def attempted(self, event: Event) -> None:
        """Meet what waits for a call or a message by a person of ours, and begin the next follow-up if it repeats.

        A follow-up that begins at this very instant waits for the next one.
        """
        self._advance(event.occurred_at, including=False)
        for clock in self._open():
            if clock.kind is Kind.first_response:
                clock.end(event.occurred_at, State.met, "attempt")
            elif clock.kind is Kind.follow_up and clock.started_at < event.occurred_at:
                clock.end(event.occurred_at, State.met, "attempt")
                if clock.repeats_left and clock.status == self.facts.status:
                    self._open_follow_up(event, clock)

    def check_in(self, event: Event) -> None:
        """Begin, move or end a check-in."""
        which = UUID(str(event.payload["check_in_id"]))
        what = event.event_type.removeprefix("check_in.")
        known = next((each for each in self.clocks if each.check_in_id == which), None)
        if what == "scheduled":
            due = datetime.fromisoformat(str(event.payload["due_at"])).astimezone(UTC)
            if known is None:
                clock = self._clock(event, Kind.check_in, str(which))
                clock.check_in_id, clock.due_at = which, max(due, event.occurred_at)
                self.clocks.append(clock)
        elif known is not None:
            known.advance(event.occurred_at, including=what != "done")
            if known.is_open:
                known.end(event.occurred_at, State.met if what == "done" else State.cancelled, what)

    def _clock(self, event: Event, kind: Kind, began_by: str) -> Clock:
        rules = in_force(self.sets, event.occurred_at)
        clock = Clock(
            uuid5(NAMES, f"{self.id}:{kind}:{began_by}"), kind, self.cycle_no, rules.version,
            rules.choose(kind, self.facts), event.occurred_at, self.facts.team_id,
            self.calendar_of(self.facts.team_id),
            since=event.occurred_at, status=self.facts.status,
        )  # fmt: skip
        clock.repeats_left = clock.rule.repeats if clock.rule else 0
        return clock

    def _open_first_response(self, event: Event) -> None:
        clock = self._clock(event, Kind.first_response, str(self.cycle_no))
        self._begin(clock)

    def _open_follow_up(self, event: Event, after: Clock | None) -> None:
        clock = self._clock(event, Kind.follow_up, str(event.id))
        if after is not None:
            clock.repeats_left = after.repeats_left - 1
        self._begin(clock)

    def _begin(self, clock: Clock) -> None:
        if clock.rule is None:
            return
        clock.plan(clock.started_at)
        if self.facts.status in clock.rule.pause_in:
            clock.pause(clock.started_at)
        self.clocks.append(clock)

    def _with(self, event: Event, **changes: Any) -> None:
        """Let open clocks go on under the facts as they are now, each in the rule set under which it began."""
        self._advance(event.occurred_at)
        self.facts = replace(self.facts, **changes)
        for clock in self._open():
            if clock.state is State.breached:
                continue
            at_start = replace(self.facts, status=clock.status)
            rules = next(each for each in self.sets if each.version == clock.version)
            clock.rule = rules.choose(clock.kind, at_start) or clock.rule
            clock.team_id, clock.calendar = self.facts.team_id, self.calendar_of(self.facts.team_id)
            clock.plan(event.occurred_at)

    def _open(self) -> list[Clock]:
        return [clock for clock in self.clocks if clock.is_open]

    def _advance(self, until: datetime, *, including: bool = True) -> None:
        for clock in self.clocks:
            clock.advance(until, including=including)


HANDLERS: Mapping[str, Callable[[Lead, Event], None]] = {
    "lead.assigned": Lead.assigned,
    "lead.priority_changed": Lead.prioritised,
    "lead.status_changed": Lead.status_changed,
    "activity.recorded": Lead.attempted,
    "check_in.scheduled": Lead.check_in,
    "check_in.done": Lead.check_in,
    "check_in.skipped": Lead.check_in,
    "check_in.cancelled": Lead.check_in,
}
CREATED = "lead.created"
READS = frozenset({CREATED, *HANDLERS})
"""The events from which clocks follow."""


def is_attempt(event: Event) -> bool:
    """Tell whether somebody of ours tried to reach the customer: an outbound call or message by a person."""
    payload = event.payload
    return (
        payload.get("is_human") is True
        and payload.get("direction") == "outbound"
        and payload.get("kind") in ("call", "message")
    )


def fold(
    lead_id: UUID,
    events: Iterable[Event],
    *,
    first_team: UUID | None,
    sets: Sequence[RuleSet],
    calendar_of: Callable[[UUID | None], Calendar],
    now: datetime,
) -> Lead:
    """Return a lead with its clocks as they stand at an instant; a test lead has none.

    `sets`: rule sets in the order of their beginning, the first since ever. `first_team`: the team that the lead came
    for, before anybody had it.
    """
    ordered = sorted(
        (each for each in events if each.event_type in READS), key=lambda each: (each.occurred_at, each.id)
    )
    lead = Lead(lead_id, sets, calendar_of, Facts(status="new", team_id=first_team))
    created = next((each for each in ordered if each.event_type == CREATED), None)
    if created is None or created.payload.get("is_test"):
        return lead
    lead.created(created)
    for event in ordered:
        if event is created or (event.event_type == "activity.recorded" and not is_attempt(event)):
            continue
        # What is dated before the lead itself counts as having happened when it came.
        HANDLERS[event.event_type](lead, replace(event, occurred_at=max(event.occurred_at, created.occurred_at)))
    lead._advance(now)
    for clock in lead.clocks:
        clock.next_at = min((each[0] for each in clock.upcoming()), default=None) if clock.is_open else None
    return lead


def _uuid(value: Any) -> UUID | None:
    return UUID(str(value)) if value else None
