"""Counterfactual replay: what other rules would have done with the leads that came and the people who were there.

Every run of distribution kept what it was decided on, in the order of the runs. Deciding again by the rules of the day
gives every run's own answers, exactly; deciding by a draft shows what it would have changed. What a draft changes is
carried on: who got another lead holds one more until that lead's recorded end, and turns go on from there. Between
runs a draft gets turns of its own, when time or a freed hand may find somebody for what only it left waiting.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any
from uuid import UUID

from crm.routing import rules
from crm.routing.cascade import Compiled
from crm.routing.facts import Facts
from crm.routing.floor import ABLE, Floor, Person, Seat
from crm.routing.rules import Decision, Enquiry
from crm.routing.turns import Pool

Case = tuple[UUID, datetime]
"""A lead and since when it waited: a lead that comes back is another case."""
NEVER = datetime.max


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run as it was: its facts, the leads decided about, who got which, and the pools before it where kept."""

    no: int
    at: datetime
    rule_set_id: UUID | None
    facts: Facts
    leads: Sequence[Enquiry]
    given: Mapping[UUID, tuple[UUID, Any]]
    """Of each lead given: to whom, and the turns drawn for it."""
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


@dataclass(slots=True)
class Fate:
    """Who got a case and when, in history and in the replay; None while it waits."""

    enquiry: Enquiry
    live: tuple[UUID, datetime] | None = None
    replayed: tuple[UUID, datetime] | None = None


@dataclass(slots=True)
class Hands:
    """Leads put into hands since the beginning: whose, and from when until when."""

    held: dict[UUID, list[tuple[datetime, datetime]]] = field(default_factory=dict)

    def take(self, user_id: UUID, since: datetime, until: datetime) -> None:
        """Note that somebody got a lead."""
        self.held.setdefault(user_id, []).append((since, until))

    def open(self, user_id: UUID, at: datetime) -> int:
        """Return how many of them somebody holds at an instant."""
        return sum(until > at for _, until in self.held.get(user_id, ()))

    def today(self, user_id: UUID, midnight: datetime | None) -> int:
        """Return how many somebody got on the day that ends at `midnight`."""
        if midnight is None:
            return 0
        return sum(since >= midnight - timedelta(days=1) for since, _ in self.held.get(user_id, ()))


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
        """Leads whose answer or draw differs from the record, when the rules of the day are replayed."""
        self._alarms: list[datetime] = []
        self._last: Recorded | None = None
        self._begun = False

    def take(self, run: Recorded) -> None:
        """Go on to a recorded run."""
        if not self._begun and run.pools is not None:
            self.pools = {key: Pool(pool.turn, dict(pool.credits)) for key, pool in run.pools.items()}
        self._begun = True
        is_draft = self.draft is not None and run.at >= self.since
        if is_draft:
            self._between(run.at)
        for lead in run.leads:
            self.fates.setdefault((lead.id, lead.since), Fate(lead)).enquiry = lead
        asked = [lead for lead in run.leads if self._waits(lead)]
        if is_draft:
            asked = self._waiting(run.at)
        compiled = self.draft if is_draft and self.draft is not None else self.by_id[run.rule_set_id]
        decisions = self._decide(compiled, run.facts, asked, run.at)
        for lead in run.leads:
            if lead.id in run.given:
                user, _ = run.given[lead.id]
                self.fates[lead.id, lead.since].live = (user, run.at)
                self.history.take(user, run.at, self.ends.get((lead.id, run.at), NEVER.replace(tzinfo=run.at.tzinfo)))
        if not is_draft:
            self._compare(run, decisions)
        self._last = run

    def finish(self) -> None:
        """Let the draft have the turns that remain until the end of the window."""
        if self.draft is not None and self._last is not None:
            self._between(self.until)

    def _waits(self, lead: Enquiry) -> bool:
        return self.fates[lead.id, lead.since].replayed is None

    def _waiting(self, at: datetime) -> list[Enquiry]:
        """Return what waits in the replay, what left the wait by another way not among it."""
        return [
            fate.enquiry
            for fate in self.fates.values()
            if fate.replayed is None
            and not any(fate.enquiry.since <= gone <= at for gone in self.withdrawn.get(fate.enquiry.id, ()))
        ]

    def _between(self, until: datetime) -> None:
        """Take the draft's own turns before an instant: at rings and deadlines, when hands come free, on changes."""
        last = self._last
        if last is None or self.draft is None:
            return
        moments = [change.at for change in self.changes if last.at < change.at < until]
        for moment in moments:
            heapq.heappush(self._alarms, moment)
        while self._alarms and self._alarms[0] < until:
            at = heapq.heappop(self._alarms)
            while self._alarms and self._alarms[0] == at:
                heapq.heappop(self._alarms)
            waiting = self._waiting(at)
            if at > last.at and waiting:
                self._decide(self.draft, self._as_of(last.facts, last.at, at), waiting, at)

    def _as_of(self, facts: Facts, since: datetime, at: datetime) -> Facts:
        """Return the facts of the last run with what is known to have changed until an instant."""
        seats = list(facts.seats)
        for change in self.changes:
            if since < change.at <= at:
                seats = [_changed(seat, change) for seat in seats]
        people = [
            replace(person, away=ABLE, away_until=None)
            if person.away and person.away_until and person.away_until <= at
            else person
            for person in facts.people
        ]
        return replace(facts, seats=seats, people=people)

    def _decide(self, compiled: Compiled, facts: Facts, leads: Iterable[Enquiry], at: datetime) -> list[Decision]:
        people = [self._adjusted(person, facts.midnight, at) for person in facts.people]
        floor = Floor(facts.seats, people, self.pools, default_team=facts.default_team, midnight=facts.midnight)
        by_id = {lead.id: lead for lead in leads}
        decisions = rules.decide_all(compiled, floor, by_id.values(), at)
        floor.settled()
        for each in decisions:
            if each.user_id is not None:
                self._give(by_id[each.lead_id], each.user_id, at)
            elif each.next_at is not None and self.draft is not None:
                heapq.heappush(self._alarms, each.next_at)
        return decisions

    def _adjusted(self, person: Person, midnight: datetime | None, at: datetime) -> Person:
        """Return a person as they would stand: what history gave them taken away, what the replay gave them added."""
        user = person.user_id
        more = self.replayed.open(user, at) - self.history.open(user, at)
        today = self.replayed.today(user, midnight) - self.history.today(user, midnight)
        if not more and not today:
            return person
        return replace(person, open_leads=person.open_leads + more, today=person.today + today)

    def _give(self, lead: Enquiry, user: UUID, at: datetime) -> None:
        """Put a lead into hands until it left its owner's in history; as long after, when it was given later."""
        fate = self.fates[lead.id, lead.since]
        fate.replayed = (user, at)
        given_at = fate.live[1] if fate.live else at
        end = self.ends.get((lead.id, given_at), NEVER.replace(tzinfo=at.tzinfo))
        if fate.live and end.year < NEVER.year and at > given_at:
            end += at - given_at
        self.replayed.take(user, at, end)
        if end.year < NEVER.year and self.draft is not None:
            heapq.heappush(self._alarms, end)

    def _compare(self, run: Recorded, decisions: Iterable[Decision]) -> None:
        """Note every lead about which the replay says something else than the record."""
        for each in decisions:
            now = (each.user_id, each.reasons[0].get("draws")) if each.user_id is not None else None
            if now != run.given.get(each.lead_id):
                self.unlike.append(each.lead_id)

    def result(self) -> dict[str, Any]:
        """Return what came of it: who would have got what, and how long leads waited, in seconds."""
        fates = [fate for fate in self.fates.values() if self._is_inside(fate)]
        moved = [fate for fate in fates if _user(fate.live) != _user(fate.replayed)]
        return {
            "leads": len(fates),
            "same_agent": len(fates) - len(moved),
            "other_agent": sum(fate.live is not None and fate.replayed is not None for fate in moved),
            "given_only_in_history": sum(fate.replayed is None for fate in moved),
            "given_only_in_replay": sum(fate.live is None for fate in moved),
            "unlike_record": len(self.unlike),
            "waiting_seconds": {"live": _waits(fates, "live"), "replayed": _waits(fates, "replayed")},
            "agents": _agents(fates),
            "changes": [
                {"lead_id": fate.enquiry.id, "live": _user(fate.live), "replayed": _user(fate.replayed)}
                for fate in moved[:100]
            ],
        }

    def _is_inside(self, fate: Fate) -> bool:
        given = min((each[1] for each in (fate.live, fate.replayed) if each), default=self.until)
        return fate.enquiry.since < self.until and given >= self.since


def _changed(seat: Seat, change: Change) -> Seat:
    if seat.user_id != change.user_id or change.team_id not in (None, seat.team_id):
        return seat
    weight, capacity = change.weight or seat.weight, change.capacity if change.capacity is not None else seat.capacity
    return replace(seat, accepting=change.accepting, weight=weight, capacity=capacity)


def _user(given: tuple[UUID, datetime] | None) -> UUID | None:
    return given[0] if given else None


def _waits(fates: Iterable[Fate], side: str) -> dict[str, Any]:
    """Return how long the leads that were given waited, and how many were not given."""
    given = [(fate, getattr(fate, side)) for fate in fates]
    waited = sorted((to[1] - fate.enquiry.since).total_seconds() for fate, to in given if to)
    still = sum(to is None for _, to in given)
    if not waited:
        return {"given": 0, "waiting": still, "mean": None, "p50": None, "p95": None}
    return {
        "given": len(waited),
        "waiting": still,
        "mean": round(fmean(waited), 3),
        "p50": waited[len(waited) // 2],
        "p95": waited[min(len(waited) - 1, int(len(waited) * 0.95))],
    }


def _agents(fates: Sequence[Fate]) -> list[dict[str, Any]]:
    live = Counter(fate.live[0] for fate in fates if fate.live)
    replayed = Counter(fate.replayed[0] for fate in fates if fate.replayed)
    return [
        {"user_id": user, "live": live[user], "replayed": replayed[user]}
        for user in sorted(live.keys() | replayed.keys(), key=lambda user: (-live[user], user))
    ]
