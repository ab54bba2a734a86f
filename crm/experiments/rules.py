"""How an experiment divides its units, what it counts, what it may be. No database, no clock."""

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from uuid import UUID

CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
EVENT_TYPE = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
MOST_VARIANTS = 8
LARGEST_SHARE = 1_000_000
LONGEST_WINDOW = 365


class Status(StrEnum):
    """A draft may be changed; what runs is left alone until it is stopped, for good."""

    draft = "draft"
    running = "running"
    stopped = "stopped"


class Split(StrEnum):
    """What differs between the variants: the script agents follow, or the team leads go to."""

    script = "script"
    team = "team"


class Unit(StrEnum):
    """What is divided: each lead for itself, or a person with all their leads."""

    lead = "lead"
    contact = "contact"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What counts as a conversion: an event of a unit's leads whose payload holds `match`, within the window."""

    event_type: str
    match: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


EVENT = "event"
"""The metric of an experiment that names its own event; its window starts at the exposure."""
KPIS: Mapping[str, int] = MappingProxyType({"conversion_rate": 90})
"""KPIs that are a share of lead cycles, each with the days it looks ahead. What a cycle counts is the KPI's own word,
asked where the KPI is defined: here is no second definition."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of doing it. The first of an experiment is the control. `share`: its part of the sum of all shares."""

    key: str
    share: int = 1
    team_id: UUID | None = None
    script: str | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """What an experiment is to find out, and how. `alpha`: how often, at most, it may see a difference where none is.

    Compared with the control, each of several variants gets its part of alpha (Bonferroni). `window_days`: days after
    an exposure within which an event counts, or those that the KPI looks ahead.
    """

    hypothesis: str
    split: Split
    variants: tuple[Variant, ...]
    unit: Unit = Unit.lead
    metric: str = "conversion_rate"
    event: Outcome | None = None
    window_days: int = 90
    alpha: float = 0.05


def wrong_with(design: Design) -> dict[str, str]:
    """Return what is wrong with a design, by field; nothing when it can be run."""
    return dict((*_wrong_numbers(design), *_wrong_metric(design), *_wrong_variants(design)))


def _wrong_numbers(design: Design) -> Iterator[tuple[str, str]]:
    if not design.hypothesis.strip():
        yield "hypothesis", "what is expected, in a sentence"
    if not 1 <= design.window_days <= LONGEST_WINDOW:
        yield "window_days", f"1 to {LONGEST_WINDOW}"
    if not 0.0001 <= design.alpha <= 0.5:
        yield "alpha", "0.0001 to 0.5"


def _wrong_metric(design: Design) -> Iterator[tuple[str, str]]:
    if design.metric in KPIS:
        if design.window_days != KPIS[design.metric]:
            yield "window_days", f"{design.metric} looks {KPIS[design.metric]} days ahead; name an event for another"
        if design.unit is not Unit.lead:
            yield "unit", f"lead: {design.metric} counts leads; name an event to count people"
    elif design.metric != EVENT:
        yield "metric", f"any of {', '.join((*KPIS, EVENT))}"
    if (design.metric == EVENT) != (design.event is not None):
        yield "event", f"with the metric {EVENT}, and only with it"
    if design.event is not None:
        if not EVENT_TYPE.fullmatch(design.event.event_type):
            yield "event.event_type", "as lead.status_changed"
        if not all(CODE.fullmatch(text) for pair in design.event.match.items() for text in pair):
            yield "event.match", "codes"


def _wrong_variants(design: Design) -> Iterator[tuple[str, str]]:
    variants = design.variants
    if not 2 <= len(variants) <= MOST_VARIANTS:
        yield "variants", f"2 to {MOST_VARIANTS}"
    for number, variant in enumerate(variants):
        at = f"variants.{number}"
        if not CODE.fullmatch(variant.key):
            yield f"{at}.key", "a code"
        if not 1 <= variant.share <= LARGEST_SHARE:
            yield f"{at}.share", f"1 to {LARGEST_SHARE}"
        if (design.split is Split.team) != (variant.team_id is not None):
            yield f"{at}.team_id", "the team of each variant, when teams are compared"
        if variant.script is not None and not CODE.fullmatch(variant.script):
            yield f"{at}.script", "a code"
        if (design.split is Split.script) != (variant.script is not None):
            yield f"{at}.script", "the script of each variant, when scripts are compared"
    for key, times in Counter(variant.key for variant in variants).items():
        if times > 1:
            yield "variants", f"{key} twice"


def bucket(key: str, unit: UUID, shares: Sequence[int]) -> int:
    """Return the index of the share that a unit falls into: always the same for one key, uniform over units.

    SHA-256 of `key:unit` gives 64 bits; a share of the sum takes its part of them (bias below 2⁻⁴⁰ for sums up to a
    million). Different keys divide the same units independently.

    :raises ValueError: when a share is negative or all are nothing.
    """
    if not shares or min(shares) < 0 or sum(shares) == 0:
        raise ValueError(f"these are no shares: {list(shares)}")
    digest = hashlib.sha256(f"{key}:{unit}".encode()).digest()
    point = (int.from_bytes(digest[:8]) * sum(shares)) >> 64
    return bisect_right(list(accumulate(shares)), point)
