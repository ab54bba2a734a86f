"""Who gets a lead, and why: facts about people (a `Floor`) and leads in, decisions out. No database, no clock."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from crm.experiments.rules import bucket
from crm.routing.asking import Found, Request, Standing, Wish, of_team, search
from crm.routing.cascade import Compiled, Demand, fold
from crm.routing.floor import ABSENT, CLOSED, CODES, DAY_FULL, Floor, Seat
from crm.routing.targets import Plain, SkillsTarget, SplitTarget, TeamTarget

STRATEGY = "weighted_round_robin"

Reason = Mapping[str, Any]
"""One line of an explanation: a `code`, and the figures it was said on."""


@dataclass(frozen=True, slots=True)
class Enquiry:
    """A lead as distribution sees it. `since`: when it began to wait; `cooled`: to whom it may not return until when.

    `handed`: somebody gave it to its team by hand; `queue`: the status that brought it to the administrators' queue.
    """

    id: UUID
    since: datetime
    campaign: str | None = None
    adset: str | None = None
    keyword: str | None = None
    geography: str | None = None
    country: str | None = None
    source: str | None = None
    platform: str | None = None
    form: str | None = None
    language: str | None = None
    team_id: UUID | None = None
    handed: bool = False
    queue: str | None = None
    cooled: Mapping[UUID, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Who gets a lead (None: it waits), by which rule, and everything it was decided on.

    `demand` names what it waits for (two leads of one demand get one answer), `next_at` the next instant at which
    time alone may change the answer.
    """

    lead_id: UUID
    user_id: UUID | None
    team_id: UUID | None
    rule: str
    reasons: Sequence[Reason]
    standings: Sequence[Standing] = ()
    demand: int | None = None
    next_at: datetime | None = None
    experiment: str | None = None
    variant: str | None = None


def decide_all(rules: Compiled, floor: Floor, leads: Iterable[Enquiry], at: datetime) -> list[Decision]:
    """Decide about leads, the longest waiting first; the floor changes with each."""
    return [decide(rules, floor, lead, at) for lead in sorted(leads, key=lambda lead: (lead.since, lead.id))]


def decide(rules: Compiled, floor: Floor, lead: Enquiry, at: datetime) -> Decision:
    """Decide about one lead at an instant (UTC)."""
    demand = wanted(rules, floor, lead)
    if isinstance(demand, str):
        code = "in_queue" if lead.queue else "no_team"
        return Decision(lead.id, None, lead.team_id, demand, [{"code": code}], demand=_number(demand))
    request = _request(demand, lead, at)
    found = floor.answered.get(request.key)
    if found is None:
        found = search(floor, request)
        if found.seat is None:
            floor.answered[request.key] = found  # room only shrinks within a run: the next one hears the same
    if found.seat is None:
        return _waits(floor, lead, request, found, at)
    floor.give(found.seat.user_id)
    return _given(lead, request, found, found.seat)


def wanted(rules: Compiled, floor: Floor, lead: Enquiry) -> Demand | str:
    """Return what is asked for a lead: by a rule, by the team it came for, by default; or the name of what asks not."""
    if lead.handed and lead.team_id is not None:
        return of_team("handed_to_team", lead.team_id, rules.hold)
    if rules.rules and (demand := rules.first(values_of(lead))):
        return demand
    if lead.queue:
        return "queue"
    if lead.team_id is not None:
        return of_team("own_team", lead.team_id, rules.hold)
    if rules.default is not None:
        return rules.default
    return of_team("default_team", floor.default_team, rules.hold) if floor.default_team else "no_team"


def values_of(lead: Enquiry) -> list[str | tuple[str, ...] | None]:
    """Return what rules compare, folded, in the cascade's order."""
    places = tuple(fold(value) for value in (lead.geography, lead.country) if value)
    first = (lead.queue, lead.campaign, lead.adset, lead.keyword)
    rest = (lead.source, lead.platform, lead.form, lead.language)
    return [
        *(fold(value) if value else None for value in first),
        places or None,
        *(fold(value) if value else None for value in rest),
    ]


def _request(demand: Demand, lead: Enquiry, at: datetime) -> Request:
    target, variant = demand.target, None
    if isinstance(target, SplitTarget):
        sides = target.variants
        side = sides[bucket(target.experiment, lead.id, [each.share for each in sides])]
        target, variant = side.target, side.name
    ring, skills = _ring(target, lead, at)
    cooled = {user: until for user, until in lead.cooled.items() if until > at}
    wish = _wish(demand, lead, skills, cooled)
    hold = demand.hold
    beyond = hold if hold and at >= lead.since + timedelta(minutes=hold.minutes) else None
    return Request(demand, target, variant, ring, wish, beyond)


def _ring(target: Plain, lead: Enquiry, at: datetime) -> tuple[int, Mapping[str, int]]:
    """Return how many rings have opened for a lead, and which skills are required then."""
    if not isinstance(target, SkillsTarget):
        return 0, {}
    waited = at - lead.since
    opened = [ring for ring in target.relax if waited >= timedelta(minutes=ring.after_minutes)]
    return len(opened), opened[-1].require if opened else target.require


def _wish(demand: Demand, lead: Enquiry, skills: Mapping[str, int], cooled: Mapping[UUID, datetime]) -> Wish:
    language = lead.language.lower() if demand.language and lead.language else None
    places = (lead.geography, lead.country) if demand.territory else ()
    regions = frozenset(fold(value) for value in places if value)
    key = (tuple(sorted(skills.items())), language, regions)
    return Wish(skills, language, regions, cooled, (*key, lead.id) if cooled else key)


def _said(request: Request) -> dict[str, Any]:
    """Return what an explanation says of the request."""
    said: dict[str, Any] = {"rule": request.demand.name}
    if request.ring:
        said["ring"] = request.ring
    if request.variant:
        said |= {"experiment": request.experiment, "variant": request.variant}
    return said


def _counted(standings: Iterable[Standing]) -> list[Reason]:
    counts: Counter[int] = Counter()
    for standing in standings:
        counts.update(standing.codes)
    return [{"code": CODES[code], "count": counts[code]} for code in sorted(counts)]


def _given(lead: Enquiry, request: Request, found: Found, seat: Seat) -> Decision:
    draws = [{"pool": draw.pool, "turn": draw.turn, "tied": draw.tied} for draw in found.draws]
    first = {"code": "chosen", "user_id": seat.user_id, **_said(request), "stage": found.stage, "draws": draws}
    return Decision(
        lead.id, seat.user_id, seat.team_id, request.demand.name, [first, *_counted(found.standings)], found.standings,
        experiment=request.experiment, variant=request.variant,
    )  # fmt: skip


def _waits(floor: Floor, lead: Enquiry, request: Request, found: Found, at: datetime) -> Decision:
    code = "nobody_free" if any(standing.seats for standing in found.standings) else "no_members"
    first = {"code": code, **_said(request), "stage": found.stage}
    team_id = request.target.team_id if isinstance(request.target, TeamTarget) else lead.team_id
    return Decision(
        lead.id, None, team_id, request.demand.name, [first, *_counted(found.standings)], found.standings,
        demand=_number(request.key), next_at=_next(floor, request, lead, found, at), experiment=request.experiment,
        variant=request.variant,
    )  # fmt: skip


def _next(floor: Floor, request: Request, lead: Enquiry, found: Found, at: datetime) -> datetime | None:
    """Return the next instant at which time alone may find somebody: a ring, the deadline, somebody coming back."""
    moments = list(request.wish.cooled.values())
    if isinstance(request.target, SkillsTarget):
        moments += [lead.since + timedelta(minutes=ring.after_minutes) for ring in request.target.relax]
    if request.demand.hold is not None:
        moments.append(lead.since + timedelta(minutes=request.demand.hold.minutes))
    for standing in found.standings:
        for seat, code in zip(standing.seats, standing.codes, strict=True):
            if code in (ABSENT, CLOSED) and (back := floor.people[seat.user_id].away_until):
                moments.append(back)
            elif code == DAY_FULL and floor.midnight:
                moments.append(floor.midnight)
    return min((moment for moment in moments if moment > at), default=None)


def _number(key: Any) -> int:
    """Return a demand as a number of 63 bits, the same in every process."""
    return int.from_bytes(hashlib.sha256(repr(_plain(key)).encode()).digest()[:8]) >> 1


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return tuple(_plain(each) for each in value)
    return str(value)
