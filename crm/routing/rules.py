"""Weighted round robin with capacity, as arithmetic: no database, no clock.

Smooth weighted round robin: at each turn everyone with room gains their weight in credit, the richest is chosen and
pays what all gained together. Over any stretch in which the same people have room, shares follow weights exactly and
nobody gets a burst. Who has no room keeps their credit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

STRATEGY = "weighted_round_robin"


@dataclass(frozen=True, slots=True)
class Member:
    """One person of a team as distribution sees them. `open_leads`: leads in hand whose cycle has not ended."""

    user_id: UUID
    weight: int
    capacity: int
    open_leads: int = 0
    credit: int = 0
    accepting: bool = True
    is_active: bool = True

    @property
    def reason_against(self) -> str | None:
        """Why this person gets no lead now, as a code; None when they may get one."""
        if not self.is_active:
            return "inactive"
        if not self.accepting:
            return "not_accepting"
        return "full" if self.open_leads >= self.capacity else None


Reason = Mapping[str, Any]
"""One line of an explanation: a `code`, and the figures it was said on."""


@dataclass(frozen=True, slots=True)
class Pick:
    """Who gets a lead (None: it waits), and why: first the outcome, then how each person considered stood."""

    user_id: UUID | None
    reasons: Sequence[Reason]


def room(members: Sequence[Member]) -> int:
    """Return how many leads these people can take together."""
    return sum(each.capacity - each.open_leads for each in members if each.reason_against is None)


def pick(members: Sequence[Member], leads: int) -> tuple[list[Pick], list[Member]]:
    """Choose somebody for each of so many leads; return the choices, and the members as they stand then.

    The order of `members` does not matter: between equal credits the lower id goes first.
    """
    standing = sorted(members, key=lambda each: each.user_id)
    picks = []
    for _ in range(leads):
        one, standing = _turn(standing)
        picks.append(one)
    return picks, standing


def _turn(members: list[Member]) -> tuple[Pick, list[Member]]:
    able = [each for each in members if each.reason_against is None]
    if not able:
        return Pick(None, [{"code": "no_capacity" if members else "no_members"}, *map(_explain, members)]), members
    pot = sum(each.weight for each in able)
    richer = [
        replace(each, credit=each.credit + each.weight) if each.reason_against is None else each for each in members
    ]
    chosen = max((each for each in richer if each.reason_against is None), key=lambda each: each.credit)
    reasons = [{"code": "chosen", "user_id": chosen.user_id}, *map(_explain, richer)]
    after = [
        replace(each, credit=each.credit - pot, open_leads=each.open_leads + 1) if each is chosen else each
        for each in richer
    ]
    return Pick(chosen.user_id, reasons), after


def _explain(member: Member) -> Reason:
    """Say how somebody stood when the choice was made; `credit` is the one they were compared by."""
    return {
        "code": member.reason_against or "has_room",
        "user_id": member.user_id,
        "weight": member.weight,
        "credit": member.credit,
        "open": member.open_leads,
        "capacity": member.capacity,
    }
