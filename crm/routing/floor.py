"""How everybody stands when a run of distribution begins, and how it changes with each lead given. No database.

Deciding the same leads on the same floor gives the same answers, which is what replay rests on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from crm.routing import turns
from crm.routing.targets import AgentTarget, Plain, PoolTarget, TeamTarget, key_of
from crm.routing.turns import Draw, Pool

CODES = (
    "able", "inactive", "not_accepting", "absent", "closed", "territory", "language", "skill", "cooling_off",
    "day_full", "full",
)  # fmt: skip
"""How somebody considered stood, by the number under which it is kept; the first reason that holds."""
ABLE, INACTIVE, NOT_ACCEPTING, ABSENT, CLOSED, TERRITORY, LANGUAGE, SKILL, COOLING_OFF, DAY_FULL, FULL = range(11)


@dataclass(frozen=True, slots=True)
class Person:
    """An agent as distribution sees them. `open_leads`: in hand, cycle not ended; `today`: given this day.

    `away` is the number of a code (ABSENT, CLOSED) until `away_until`; empty languages or regions mean any.
    """

    user_id: UUID
    is_active: bool = True
    skills: Mapping[str, int] = field(default_factory=dict)
    languages: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    daily_cap: int | None = None
    open_leads: int = 0
    today: int = 0
    away: int = ABLE
    away_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """A person's place in a team's distribution."""

    team_id: UUID
    user_id: UUID
    weight: int
    capacity: int
    accepting: bool = True


Stand = tuple[bytes, list[int], int]
"""A code for each seat of a scope, the places of those able, and the sum of their weights."""


class Scope:
    """The seats a plain target considers, laid out for speed: weights, credits and places in the floor."""

    __slots__ = ("credits", "holders", "key", "known", "lots", "places", "seats", "stands", "weights")

    def __init__(self, floor: "Floor", key: str, seats: Sequence[Seat], weights: Sequence[int]) -> None:
        self.key = key
        self.seats = seats
        self.weights = weights
        self.places = [floor.place[seat.team_id, seat.user_id] for seat in seats]
        self.holders = [seat.user_id for seat in seats]
        self.credits = floor.credits_of(key, self.holders)
        self.lots = floor.lots_of(self.holders)
        self.known: dict[Any, tuple[bytes, list[int]]] = {}
        self.stands: dict[Any, tuple[int, Stand]] = {}


class Floor:
    """Everybody as they stand; changed by each decision. Seats and people come in any order."""

    def __init__(
        self,
        seats: Iterable[Seat],
        people: Iterable[Person],
        pools: dict[str, Pool],
        *,
        default_team: UUID | None = None,
        midnight: datetime | None = None,
    ) -> None:
        self.seats = sorted(seats, key=lambda seat: (seat.team_id, seat.user_id))
        self.people = {person.user_id: person for person in people}
        self.pools = pools
        self.default_team = default_team
        self.midnight = midnight
        self.place = {(seat.team_id, seat.user_id): n for n, seat in enumerate(self.seats)}
        self.open = {person.user_id: person.open_leads for person in self.people.values()}
        self.today = {person.user_id: person.today for person in self.people.values()}
        self.of_person: dict[UUID, list[int]] = {}
        for n, seat in enumerate(self.seats):
            self.of_person.setdefault(seat.user_id, []).append(n)
        self.room = [self._room(seat) for seat in self.seats]
        self.changes = 0
        """How often somebody's room ran out: what was worked out before still holds while this stands."""
        self.in_turn: dict[str, list[int]] = {}
        self.taken: set[str] = set()
        """Pools of which turns were taken."""
        self.holders: dict[str, list[UUID]] = {}
        self.scopes: dict[int, tuple[Any, list[Scope]]] = {}
        self.answered: dict[Any, Any] = {}
        self._lots: dict[UUID, int] = {}

    def _room(self, seat: Seat) -> int:
        cap = self.people[seat.user_id].daily_cap
        if cap is not None and self.today[seat.user_id] >= cap:
            return DAY_FULL
        return FULL if self.open[seat.user_id] >= seat.capacity else ABLE

    def give(self, user_id: UUID) -> None:
        """Put one more lead in a person's hands."""
        self.open[user_id] += 1
        self.today[user_id] += 1
        for place in self.of_person[user_id]:
            room = self._room(self.seats[place])
            if room != self.room[place]:
                self.room[place] = room
                self.changes += 1

    def credits_of(self, key: str, holders: Sequence[UUID]) -> list[int]:
        """Return the credits of a pool's holders, to be changed in place."""
        if key not in self.in_turn:
            held = self.pools.setdefault(key, Pool()).credits
            self.in_turn[key] = [held.get(holder, 0) for holder in holders]
            self.holders[key] = list(holders)
        return self.in_turn[key]

    def lots_of(self, holders: Sequence[UUID]) -> list[int]:
        """Return the fixed numbers from which ties among holders are drawn."""
        fresh = [holder for holder in holders if holder not in self._lots]
        self._lots.update(zip(fresh, turns.lots_of(fresh), strict=True))
        return [self._lots[holder] for holder in holders]

    def take_turn(
        self,
        key: str,
        weights: Sequence[int],
        credits: list[int],
        able: Sequence[int],
        lots: Sequence[int],
        total: int | None = None,
    ) -> tuple[int, Draw]:
        """Take a pool's next turn among those able, of `total` weight."""
        pool = self.pools[key]
        chosen, draw = turns.take(key, pool.turn, weights, credits, able, lots, total)
        pool.turn += 1
        self.taken.add(key)
        return chosen, draw

    def settled(self) -> dict[str, Pool]:
        """Return the pools of which turns were taken, with credits as they stand now; of who left none is kept.

        A pool that was only asked stays as it was: what waits unsaid is not part of a run's record.
        """
        for key in self.taken:
            self.pools[key].credits = dict(zip(self.holders[key], self.in_turn[key], strict=True))
        return {key: self.pools[key] for key in sorted(self.taken)}

    def scopes_of(self, target: Plain) -> list[Scope]:
        """Return what a target considers: one scope, or one for each team of a pool of teams."""
        known = self.scopes.get(id(target))
        if known is None or known[0] is not target:
            known = self.scopes[id(target)] = (target, self._scopes(target))
        return known[1]

    def _scopes(self, target: Plain) -> list[Scope]:
        if isinstance(target, TeamTarget):
            return [self._of_team(target.team_id)]
        if isinstance(target, PoolTarget) and target.is_of_teams:
            return [self._of_team(share.holder) for share in target.shares]
        if isinstance(target, PoolTarget):
            wanted = {share.holder: share.percent for share in target.shares}
            seats = self._one_seat_each(wanted)
            return [Scope(self, key_of(target), seats, [wanted[seat.user_id] for seat in seats])]
        if isinstance(target, AgentTarget):
            seats = self._one_seat_each({target.user_id})
        else:
            teams = set(target.team_ids)
            seats = self._one_seat_each(seat.user_id for seat in self.seats if not teams or seat.team_id in teams)
        return [Scope(self, key_of(target), seats, [seat.weight for seat in seats])]

    def _of_team(self, team_id: UUID) -> Scope:
        seats = [seat for seat in self.seats if seat.team_id == team_id]
        return Scope(self, f"team:{team_id}", seats, [seat.weight for seat in seats])

    def _one_seat_each(self, users: Iterable[UUID]) -> list[Seat]:
        """Return one seat of each person: where they accept leads, if anywhere, and may hold the most."""
        wanted = set(users)
        found = []
        for user_id in sorted(wanted & self.of_person.keys()):
            seats = [self.seats[place] for place in self.of_person[user_id]]
            found.append(max(seats, key=lambda seat: (seat.accepting, seat.capacity)))
        return found
