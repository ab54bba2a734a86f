"""Counting what became of exposed units. No database, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of one variant's units.

    `exposures`: units that were exposed. `conversions`: those that have converted so far. `decided`: those whose
    outcome cannot change any more; `decided_conversions` of them converted.
    """

    exposures: int
    decided: int
    decided_conversions: int
    conversions: int


@dataclass(frozen=True, slots=True)
class Exposure:
    """A lead that got the variant at a position, and when."""

    lead_id: UUID
    position: int
    exposed_at: datetime


@dataclass(frozen=True, slots=True)
class Cycle:
    """A lead's run to an end, begun at an instant, and whether a KPI counts it as converted."""

    lead_id: UUID
    received_at: datetime
    is_converted: bool


@dataclass(slots=True)
class _Tally:
    exposures: int = 0
    decided: int = 0
    decided_conversions: int = 0
    conversions: int = 0


def tally(
    exposures: Iterable[Exposure],
    cycles: Iterable[Cycle],
    *,
    variants: int,
    final_after: timedelta,
    known_until: datetime,
) -> list[Counts]:
    """Return the counts of each variant, in their order: each lead counts by the cycle in which it was exposed.

    A cycle's outcome is final so long after it began; `known_until`: up to when the cycles tell everything.
    """
    of_lead: dict[UUID, list[Cycle]] = {}
    for cycle in sorted(cycles, key=lambda each: each.received_at):
        of_lead.setdefault(cycle.lead_id, []).append(cycle)
    found = [_Tally() for _ in range(variants)]
    for each in exposures:
        arm = found[each.position]
        arm.exposures += 1
        if (within := _cycle_at(of_lead.get(each.lead_id, ()), each.exposed_at)) is None:
            continue  # so young that the marts do not know it yet
        is_final = within.received_at + final_after <= known_until
        arm.conversions += within.is_converted
        arm.decided += is_final
        arm.decided_conversions += is_final and within.is_converted
    return [Counts(arm.exposures, arm.decided, arm.decided_conversions, arm.conversions) for arm in found]


def _cycle_at(cycles: Sequence[Cycle], at: datetime) -> Cycle | None:
    """Return the cycle that ran at an instant; the first, where instants are rounded."""
    begun = [cycle for cycle in cycles if cycle.received_at <= at]
    return begun[-1] if begun else next(iter(cycles), None)
