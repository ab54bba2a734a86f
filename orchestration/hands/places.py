"""What metrics in SQL by hand are made of: places that hold rows, and values of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RELATION = re.compile(r"\b(?:published|bi)\.\w+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows stand, by which business day they count, which of them count, and what they can be cut by."""

    relation: str
    day: str
    dims: Mapping[str, str] = field(default_factory=dict)
    where: str = "true"
    moved_by: str | None = None
    """The latest transaction that a row of another domain follows from, where the metric's table was made of it."""

    @property
    def name(self) -> str:
        """What the place is called: its first relation."""
        return next(iter(self.reads), self.relation)

    @property
    def reads(self) -> list[str]:
        """The relations that it reads, with their schemas."""
        return RELATION.findall(self.relation)


@dataclass(frozen=True, slots=True)
class Hand:
    """A metric by hand: its value, and the places that hold what it takes. The first place is of `published`."""

    value: str
    places: Sequence[Place]
    others: Mapping[str, str] = field(default_factory=dict)
    """The value in places that keep it in other columns, by their names."""
    always: tuple[str, ...] = ()
    """Dimensions without which it is never told."""
    is_count: bool = False
    """Nothing counted is the same as none; of shares and means nothing is known where there is nothing to divide by."""
    made_by: str | None = "count(*)"
    """How many made a figure of its first place, for what must not be told of few; None: nobody, it is of machines."""

    def in_place(self, place: Place) -> str:
        """Return its value in one of its places."""
        return self.others.get(place.name, self.value)


def share(part: str, whole: str = "true") -> str:
    """Return the share of rows; null where there are none."""
    return f"count(*) filter (where {part})::float8 / nullif(count(*) filter (where {whole}), 0)"


def middle(value: str, where: str = "true", at: float = 0.5) -> str:
    """Return a percentile, the median at 0.5."""
    return f"percentile_cont({at}) within group (order by ({value})::float8) filter (where {where})"


def mean(value: str, where: str = "true") -> str:
    """Return the mean of the rows that a condition leaves; null where there are none."""
    return f"(sum({value}) filter (where {where}))::float8 / nullif(count(*) filter (where {where}), 0)"


def seconds(since: str, until: str) -> str:
    """Return the seconds between two instants."""
    return f"extract(epoch from {until} - {since})"


def quantile(at: float, bounds: Sequence[int]) -> str:
    """Return a percentile from counts by bucket (`le_5`, …, `le_inf`): linear within the bucket, from the last bound on
    that bound.
    """
    names = [*(f"le_{bound}" for bound in bounds), "le_inf"]
    wanted = f"{at}::float8 * ({' + '.join(f'sum({name})' for name in names)})"
    cases, below, upto = [], 0, "0"
    for bound, name in zip(bounds, names, strict=False):
        inside = f"{below} + {bound - below} * ({wanted} - ({upto})) / sum({name})"
        upto += f" + sum({name})"
        cases.append(f"when sum({name}) > 0 and {wanted} <= {upto} then {inside}")
        below = bound
    return f"case {' '.join(cases)} when sum(le_inf) > 0 then {below} end"
