"""Counterfactual replay: what other rules would have done with the leads that came and the people who were there.

Every run of distribution kept what it was decided on, in the order of the runs. Deciding again by the rules of the day
gives every run's own answers, exactly; so does a draft for as long as it says what the rules of the day said. From the
first run on which it does not, what it changes is carried on: who got another lead holds one more until that lead's
recorded end, and turns go on from there. Between runs a draft then gets turns of its own, when time or a freed hand
may find somebody for what it left waiting.
"""

import heapq
import json
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from crm.db import to_json
from crm.routing import rules
from crm.routing.cascade import Compiled
from crm.routing.facts import Facts
from crm.routing.floor import ABLE, Floor, Person, Seat
from crm.routing.hands import Hands
from crm.routing.outcome import Fate, Given, outcome
from crm.routing.rules import Decision, Enquiry
from crm.routing.turns import Pool

Case = tuple[datetime, UUID]
"""Since when a lead waited, and the lead: one that comes back is another case."""
OF_ONE_DEMAND = 50
"""Leads that wait for the same, asked for at once in a draft's turn; the others hear the same answer."""


class Kept(NamedTuple):
    """What was kept of one decision: who got the lead (None: it waits), by which rule, the reasons as they read."""

    user_id: UUID | None
    rule: str
    reasons: Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run as it was: its facts, the leads decided about, what was decided, and the pools before it where kept."""

    no: int
    at: datetime
    rule_set_id: UUID | None
    facts: Facts
    leads: Sequence[Enquiry]
    decided: Mapping[UUID, Kept]
    pools: dict[str, Pool] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an agent between runs: they paused or came back, or their seat in a team was set anew."""

    at: datetime
    user_id: UUID
    accepting: bool
    team_id: UUID | None = None
    weight: int | None = None
    capacity: int | None = None


class Replay:
    """One replay: `take` the recorded runs in their order, then `finish`."""

    def __init__(
        self,
        by_id: Mapping[UUID | None, Compiled],
        draft: Compiled | None,
        *,
        since: datetime,
        until: datetime,
        ends: Mapping[tuple[UUID, datetime], datetime],
        changes: Sequence[Change] = (),
        withdrawn: Mapping[UUID, Sequence[datetime]] | None = None,
    ) -> None:
        """`draft` None replays the rules of the day; `ends`: when a lead given at an instant left the agent's hands.

        `withdrawn`: when leads stopped waiting without distribution: given by hand, or closed.
        """
        self.by_id, self.draft = by_id, draft
        self.since, self.until = since, until
        self.ends = ends
        self.changes = sorted(changes, key=lambda change: change.at)
        self.withdrawn = withdrawn or {}
        self.fates: dict[Case, Fate] = {}
        self.history, self.replayed = Hands(), Hands()
        self.pools: dict[str, Pool] = {}
        self.unlike: list[UUID] = []
        """Leads of which the record says something else than the rules of the day say now."""
        self._waiting: list[Case] = []
        self._asked: dict[Case, Decision] = {}
        """What those who wait heard last."""
        self._latest: dict[UUID, Case] = {}
        self._alarms: list[datetime] = []
        self._last: Recorded | None = None
        self._parted = False
        """Whether the draft has gone its own way."""

    def take(self, run: Recorded) -> None:
        """Go on to a recorded run."""
        if self._last is None and run.pools is not None:
            self.pools = {key: Pool(pool.turn, dict(pool.credits)) for key, pool in run.pools.items()}
        of_the_day = self.by_id[run.rule_set_id]
        self._parted = self._parted or (self.draft is not None and run.at >= self.since and self.draft != of_the_day)
        if self._parted:
            self._between(run.at)
        for lead in run.leads:
            self._arrives(lead)
        if self._parted:
            self._turn(run.facts, run.at)
        else:
            self._compare(run, self._decide(of_the_day, run.facts, run.leads, run.at))
        for lead in run.leads:
            self._happened(lead, run)
        self._last = run

    def finish(self) -> None:
        """Let the draft have the turns that remain until the end of the window."""
        if self._parted:
            self._between(self.until)

    def result(self) -> dict[str, Any]:
        """Return what came of it; see `outcome`."""
        inside = [fate for fate in self.fates.values() if self._is_inside(fate)]
        return outcome(inside) | {"unlike_record": len(self.unlike)}

    def _is_inside(self, fate: Fate) -> bool:
        given = min((each.at for each in (fate.live, fate.replayed) if each), default=self.until)
        return fate.enquiry.since < self.until and given >= self.since

    def _arrives(self, lead: Enquiry) -> None:
        case = (lead.since, lead.id)
        if (earlier := self._latest.get(lead.id)) and earlier != case:
            self._no_longer_waits(earlier)
        self._latest[lead.id] = case
        if case not in self.fates:
            self.fates[case] = Fate(lead)
            insort(self._waiting, case)
        self.fates[case].enquiry = lead

    def _no_longer_waits(self, case: Case) -> None:
        place = bisect_right(self._waiting, case) - 1
        if place >= 0 and self._waiting[place] == case:
            del self._waiting[place]
        self._asked.pop(case, None)

    def _happened(self, lead: Enquiry, run: Recorded) -> None:
        """Note whom history gave a lead; who has it in the replay holds it until the same end."""
        kept, fate = run.decided[lead.id], self.fates[lead.since, lead.id]
        if kept.user_id is None:
            return
        fate.live = Given(kept.user_id, run.at, kept.rule)
        end = self.ends.get((lead.id, run.at))
        self.history.take(kept.user_id, run.at, end)
        if fate.replayed and fate.replayed.at < run.at and end is not None:
            self.replayed.leave(fate.replayed.user_id, end)
            heapq.heappush(self._alarms, end)

    def _compare(self, run: Recorded, decisions: Iterable[Decision]) -> None:
        """Note every lead about which the replay says something else than the record."""
        for each in decisions:
            if (each.user_id, each.rule, json.loads(to_json(each.reasons))) != run.decided[each.lead_id]:
                self.unlike.append(each.lead_id)

    def _decide(self, compiled: Compiled, facts: Facts, leads: Iterable[Enquiry], at: datetime) -> list[Decision]:
        """Decide by rules on facts, with the pools as they stand in the replay, and put leads into hands."""
        floor = Floor(facts.seats, facts.people, self.pools, default_team=facts.default_team, midnight=facts.midnight)
        by_id = {lead.id: lead for lead in leads}
        decisions = rules.decide_all(compiled, floor, by_id.values(), at)
        floor.settled()
        for each in decisions:
            lead = by_id[each.lead_id]
            if each.user_id is not None:
                self._give(lead, Given(each.user_id, at, each.rule))
            else:
                self._asked[lead.since, lead.id] = each
        return decisions

    def _give(self, lead: Enquiry, given: Given) -> None:
        """Put a lead into hands until it left its owner's in history; as long after, when it was given later."""
        case = (lead.since, lead.id)
        self.fates[case].replayed = given
        self._no_longer_waits(case)
        self.replayed.take(given.user_id, given.at, end := self._end(self.fates[case], given.at))
        if end is not None:
            heapq.heappush(self._alarms, end)

    def _end(self, fate: Fate, at: datetime) -> datetime | None:
        """Return when a lead given in the replay leaves the hands: None while that is unknown."""
        lead = fate.enquiry.id
        if fate.live is None:
            gone = self.ends.get((lead, at)) or min((gone for gone in self._gone(lead) if gone > at), default=None)
            return gone
        end = self.ends.get((lead, fate.live.at))
        return end and end + max(timedelta(), at - fate.live.at)

    def _gone(self, lead: UUID) -> Sequence[datetime]:
        return self.withdrawn.get(lead, ())

    def _turn(self, facts: Facts, at: datetime) -> None:
        """Take one of the draft's turns: decide about what waits, the longest waiting of each demand first."""
        assert self.draft is not None
        while True:
            people = [self._adjusted(person, facts.midnight, at) for person in facts.people]
            decisions = self._decide(self.draft, replace(facts, people=people), self._due(at), at)
            for each in decisions:
                if each.user_id is None and each.next_at is not None:
                    heapq.heappush(self._alarms, each.next_at)
            # Some were given, so others of their demand may stand behind them.
            if not any(each.user_id is not None for each in decisions) or len(decisions) < OF_ONE_DEMAND:
                return

    def _due(self, at: datetime) -> list[Enquiry]:
        """Return what to ask for now: the new, those of whom time has changed something, the oldest of each demand."""
        due, of_demand, gone = [], Counter[int](), []
        for case in self._waiting:
            if any(case[0] <= left <= at for left in self._gone(case[1])):
                gone.append(case)
                continue
            heard = self._asked.get(case)
            if heard is None or heard.demand is None or (heard.next_at is not None and heard.next_at <= at):
                due.append(self.fates[case].enquiry)
            elif of_demand[heard.demand] < OF_ONE_DEMAND:
                of_demand[heard.demand] += 1
                due.append(self.fates[case].enquiry)
        for case in gone:
            self._no_longer_waits(case)
        return due

    def _between(self, until: datetime) -> None:
        """Take the draft's own turns before an instant: at rings and deadlines, when hands come free, on changes."""
        last = self._last
        if last is None:
            return
        for change in self._changes(last.at, until):
            heapq.heappush(self._alarms, change.at)
        while self._alarms and self._alarms[0] < until:
            at = heapq.heappop(self._alarms)
            while self._alarms and self._alarms[0] == at:
                heapq.heappop(self._alarms)
            if at > last.at and self._waiting:
                self._turn(self._as_of(last.facts, last.at, at), at)

    def _changes(self, since: datetime, until: datetime) -> Sequence[Change]:
        """Return what changed after an instant, until another."""
        first = bisect_right(self.changes, since, key=lambda change: change.at)
        return self.changes[first : bisect_right(self.changes, until, key=lambda change: change.at)]

    def _as_of(self, facts: Facts, since: datetime, at: datetime) -> Facts:
        """Return the facts of the last run with what is known to have changed until an instant."""
        seats = list(facts.seats)
        for change in self._changes(since, at):
            seats = [_changed(seat, change) for seat in seats]
        midnight = facts.midnight
        while midnight is not None and midnight <= at:
            midnight += timedelta(days=1)
        is_another_day = midnight != facts.midnight
        people = [_later(person, at, is_another_day=is_another_day) for person in facts.people]
        return replace(facts, seats=seats, people=people, midnight=midnight)

    def _adjusted(self, person: Person, midnight: datetime | None, at: datetime) -> Person:
        """Return a person as they would stand: what history gave them taken away, what the replay gave them added."""
        user = person.user_id
        more = self.replayed.open(user, at) - self.history.open(user, at)
        today = self.replayed.today(user, midnight) - self.history.today(user, midnight)
        if not more and not today:
            return person
        return replace(person, open_leads=person.open_leads + more, today=person.today + today)


def _later(person: Person, at: datetime, *, is_another_day: bool) -> Person:
    """Return a person as they stand later: back again, and on another day with nothing given yet."""
    if person.away and person.away_until and person.away_until <= at:
        person = replace(person, away=ABLE, away_until=None)
    return replace(person, today=0) if is_another_day and person.today else person


def _changed(seat: Seat, change: Change) -> Seat:
    if seat.user_id != change.user_id or change.team_id not in (None, seat.team_id):
        return seat
    weight, capacity = change.weight or seat.weight, change.capacity if change.capacity is not None else seat.capacity
    return replace(seat, accepting=change.accepting, weight=weight, capacity=capacity)
