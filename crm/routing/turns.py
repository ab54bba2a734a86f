"""Whose turn it is: fair shares by weight, never more than one lead from exact, as arithmetic on credits.

At each turn everyone able gains their share of one lead in credit; who is chosen pays one lead. Chosen is who must be
served first so that nobody's credit reaches one lead: the earliest deadline among those to whom a lead is due already
(R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32, 1980; his bound is 1 − 1/(2n − 2) for n people).
While the same people are able the difference between what one got and one's exact share stays below one lead.
Who is not able keeps their credit. Plain smooth round robin (the richest first) drifts further from exact.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

LEAD = 1 << 40
"""One lead in units of credit."""
MIX = (1 << 61) - 1
"""A prime: multiplying by a number drawn for the turn, modulo it, puts those who tie into a fresh order."""


@dataclass(slots=True)
class Pool:
    """Who shares something: turns taken so far, and the credit each holder (a person, a team) carries."""

    turn: int = 0
    credits: dict[UUID, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draw:
    """One turn of a pool: its number, from which ties are drawn, and how many tied."""

    pool: str
    turn: int
    tied: int


def lot(pool: str, turn: int) -> int:
    """Return the number that orders ties at a turn of a pool: always the same, different at each turn."""
    return int.from_bytes(hashlib.sha256(f"{pool}:{turn}".encode()).digest()[:7]) | 1


def take(
    pool: str,
    turn: int,
    weights: Sequence[int],
    credits: list[int],
    able: Sequence[int],
    lots: Sequence[int],
    total: int | None = None,
) -> tuple[int, Draw]:
    """Choose one of `able` (places in the lists), change `credits` accordingly, and return the place and the draw.

    `lots` holds a fixed number of each place, mixed with the turn's own number when deadlines tie; `total` is the sum
    of the weights of those able, where it is known already.
    """
    total = total or sum([weights[place] for place in able])
    unit = LEAD // total
    spare = LEAD // (2 * len(able) - 2) if len(able) > 1 else 0
    bound, best, tied = LEAD - spare, float("inf"), []
    for place in able:
        weight = weights[place]
        credit = credits[place] = credits[place] + unit * weight
        if credit >= spare:
            deadline = (bound - credit) / weight
            if deadline < best:
                best, tied = deadline, [place]
            elif deadline == best:
                tied.append(place)
    if not tied:  # to none is a lead due: only after others came or went
        best = min((bound - credits[place]) / weights[place] for place in able)
        tied = [place for place in able if (bound - credits[place]) / weights[place] == best]
    chosen = tied[0]
    if len(tied) > 1:
        drawn = lot(pool, turn)
        chosen = min(tied, key=lambda place: lots[place] * drawn % MIX)
    credits[chosen] -= unit * total
    return chosen, Draw(pool, turn, len(tied))


def lots_of(holders: Sequence[UUID]) -> list[int]:
    """Return the fixed numbers of holders, which say nothing of who came first."""
    return [int.from_bytes(hashlib.sha256(holder.bytes).digest()[:7]) | 1 for holder in holders]
