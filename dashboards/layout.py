"""What a page of figures is made of: data, so that a page reads as its table of contents."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from dashboards.figures import Ask


@dataclass(frozen=True)
class Tiles:
    """Head-line figures, each with its trend and its change against the period before."""

    title: str
    names: tuple[str, ...]

    def asks(self, grain: str) -> tuple[Ask, ...]:
        """Return what the part needs to know."""
        return (Ask(self.names), Ask(self.names, is_before=True), Ask(self.names, grain=grain))


@dataclass(frozen=True)
class Trend:
    """Metrics of one unit over time; `limit` is drawn across (a target, or what must not be passed)."""

    title: str
    names: tuple[str, ...]
    limit: float | None = None
    is_bars: bool = False

    def asks(self, grain: str) -> tuple[Ask, ...]:
        """Return what the part needs to know."""
        return (Ask(self.names, grain=grain),)


@dataclass(frozen=True)
class Ranking:
    """One metric by a dimension, as bars; `limit` is drawn across."""

    title: str
    metric: str
    by: str
    limit: float | None = None

    def asks(self, grain: str) -> tuple[Ask, ...]:
        """Return what the part needs to know."""
        return (Ask((self.metric,), by=(self.by,)),)


@dataclass(frozen=True)
class Table:
    """Metrics by a dimension, a row for each of its values, which opens what is behind it."""

    title: str
    names: tuple[str, ...]
    by: str

    def asks(self, grain: str) -> tuple[Ask, ...]:
        """Return what the part needs to know."""
        return (Ask(self.names, by=(self.by,)),)


@dataclass(frozen=True)
class Stacked:
    """A metric over time, cut into the values of a dimension that it always comes by (states of agents)."""

    title: str
    metric: str
    by: str

    def asks(self, grain: str) -> tuple[Ask, ...]:
        """Return what the part needs to know."""
        return (Ask((self.metric,), by=(self.by,), grain=grain),)


Part = Tiles | Trend | Ranking | Table | Stacked


@dataclass(frozen=True)
class Pair:
    """Two parts side by side where there is room."""

    left: Trend | Ranking
    right: Trend | Ranking

    def asks(self, grain: str) -> tuple[Ask, ...]:
        """Return what both need to know."""
        return (*self.left.asks(grain), *self.right.asks(grain))


@dataclass(frozen=True)
class Board:
    """A page: its key (address and words), what its filter bar offers, and its parts from top to bottom."""

    key: str
    dims: tuple[str, ...]
    parts: tuple[Part | Pair, ...]

    def asks(self, grain: str) -> tuple[Ask, ...]:
        """Return everything the page needs to know."""
        return tuple(ask for part in self.parts for ask in part.asks(grain))

    def of(self, known: Collection[str]) -> "Board":
        """Return the page with the metrics that are known alone; a part without any falls away."""
        return replace(self, parts=tuple(part for each in self.parts if (part := _of(each, known))))


def _of(part: Part | Pair, known: Collection[str]) -> Part | Pair | None:
    match part:
        case Pair(left, right):
            found = [each for each in (_of(left, known), _of(right, known)) if each]
            return Pair(*found) if len(found) == 2 else next(iter(found), None)  # type: ignore[arg-type]
        case Ranking(metric=metric) | Stacked(metric=metric):
            return part if metric in known else None
        case _:
            names = tuple(name for name in part.names if name.partition(".")[0] in known)
            return replace(part, names=names) if names else None
