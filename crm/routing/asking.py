"""Who of those a target names can take a lead, and whose turn it is. No database, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from crm.routing.cascade import Demand
from crm.routing.floor import (
    ABLE,
    COOLING_OFF,
    INACTIVE,
    LANGUAGE,
    NOT_ACCEPTING,
    SKILL,
    TERRITORY,
    Floor,
    Scope,
    Seat,
    Stand,
)
from crm.routing.rulesets import Hold
from crm.routing.targets import Plain, PoolTarget, SplitTarget, TeamTarget, key_of
from crm.routing.turns import Draw


@dataclass(frozen=True, slots=True)
class Standing:
    """How those considered stood: seats in order, a code for each, weights, and credits in units of `turns.LEAD`."""

    seats: Sequence[Seat]
    codes: bytes
    weights: Sequence[int]
    credits: Sequence[int]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one lead asks of a person. `key`: leads of one key ask the same."""

    skills: Mapping[str, int]
    language: str | None
    regions: frozenset[str]
    cooled: Mapping[UUID, datetime]
    key: Any


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for one lead now: the target (of an experiment: the lead's side), and of whom."""

    demand: Demand
    target: Plain
    variant: str | None
    ring: int
    wish: Wish
    beyond: Hold | None
    """The hold whose deadline has passed."""

    @property
    def key(self) -> Any:
        """Leads of one key get one answer while nobody's room grows."""
        return key_of(self.target), self.wish.key, self.beyond

    @property
    def experiment(self) -> str | None:
        """The experiment whose side this is."""
        return self.demand.target.experiment if isinstance(self.demand.target, SplitTarget) else None


@dataclass(frozen=True, slots=True)
class Found:
    """What asking came to: the seat that gets the lead, everybody's standing, the turns that were drawn."""

    seat: Seat | None
    standings: tuple[Standing, ...]
    draws: tuple[Draw, ...] = ()
    stage: str = "target"


@lru_cache(maxsize=10_000)
def of_team(name: str, team_id: UUID, hold: Hold | None) -> Demand:
    """Return the demand for a team's members under the name of what asks for them."""
    return Demand(name, TeamTarget(team_id=team_id), hold)


def search(floor: Floor, request: Request) -> Found:
    """Ask the target, and when the deadline has passed the overflow team, of which nothing is asked but to be free."""
    found = _ask(floor, request.target, request.wish)
    if found.seat is not None or request.beyond is None:
        return found
    cooled = request.wish.cooled
    free = Wish({}, None, frozenset(), cooled, ("overflow", request.wish.key) if cooled else "overflow")
    target = of_team("overflow", request.beyond.overflow_team_id, None).target
    assert isinstance(target, TeamTarget)
    over = _ask(floor, target, free)
    return Found(over.seat, (*over.standings, *found.standings), over.draws, "overflow")


def _ask(floor: Floor, target: Plain, wish: Wish) -> Found:
    """Ask a target for somebody, and take the turns when there is one: of a pool of teams the team's, too."""
    scopes = floor.scopes_of(target)
    stands = [_stand(floor, scope, wish) for scope in scopes]
    standings = [
        Standing(scope.seats, codes, scope.weights, scope.credits[:])
        for scope, (codes, _, _) in zip(scopes, stands, strict=True)
    ]
    with_somebody = [n for n, (_, able, _) in enumerate(stands) if able]
    if not with_somebody:
        return Found(None, tuple(standings))
    chosen, draws = with_somebody[0], []
    if isinstance(target, PoolTarget) and target.is_of_teams:
        chosen, draw = _team_of_pool(floor, target, with_somebody)
        draws.append(draw)
    scope, able = scopes[chosen], stands[chosen][1]
    place, draw = floor.take_turn(scope.key, scope.weights, scope.credits, able, scope.lots, stands[chosen][2])
    ordered = (standings[chosen], *standings[:chosen], *standings[chosen + 1 :])
    return Found(scope.seats[place], ordered, (draw, *draws))


def _team_of_pool(floor: Floor, target: PoolTarget, able: Sequence[int]) -> tuple[int, Draw]:
    key, teams = key_of(target), [share.holder for share in target.shares]
    weights = [share.percent for share in target.shares]
    return floor.take_turn(key, weights, floor.credits_of(key, teams), able, floor.lots_of(teams))


def _stand(floor: Floor, scope: Scope, wish: Wish) -> Stand:
    """Return how a scope's seats stand; worked out again when somebody's room ran out."""
    stand = scope.stands.get(wish.key)
    if stand is not None and stand[0] == floor.changes:
        return stand[1]
    known = scope.known.get(wish.key)
    if known is None:
        static = bytes(_lasting(floor, seat, wish) for seat in scope.seats)
        known = scope.known[wish.key] = (static, [n for n, code in enumerate(static) if code == ABLE])
    codes, room, places, cooled = bytearray(known[0]), floor.room, scope.places, wish.cooled
    able = []
    for n in known[1]:
        if cooled and scope.holders[n] in cooled:
            codes[n] = COOLING_OFF
        elif code := room[places[n]]:
            codes[n] = code
        else:
            able.append(n)
    found = (bytes(codes), able, sum([scope.weights[n] for n in able]))
    scope.stands[wish.key] = (floor.changes, found)
    return found


def _lasting(floor: Floor, seat: Seat, wish: Wish) -> int:
    """Return why a seat is out for a whole run, ABLE when it is not. The order of reasons is that of `CODES`."""
    person = floor.people[seat.user_id]
    if not person.is_active:
        return INACTIVE
    if not seat.accepting:
        return NOT_ACCEPTING
    if person.away:
        return person.away
    if wish.regions and person.regions and not wish.regions & person.regions:
        return TERRITORY
    if wish.language and person.languages and wish.language not in person.languages:
        return LANGUAGE
    return SKILL if any(person.skills.get(skill, 0) < level for skill, level in wish.skills.items()) else ABLE
