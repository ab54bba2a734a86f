"""What the API tells an account, and how a Turkish reader writes it: by hand rather than by the code under test."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx

from cli import demo
from dashboards import words
from dashboards.layout import Board, Table, Tiles

NONE = "–"
Filters = Mapping[str, Sequence[str]]


def turkish(value: float, digits: int = 0) -> str:
    """Return a number as a Turkish reader writes it."""
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def short(value: float, digits: int) -> str:
    """Return a number without noughts that say nothing."""
    text = turkish(value, digits)
    return text.rstrip("0").rstrip(",") if "," in text else text


def span(seconds: float) -> str:
    """Return seconds in the unit people would use."""
    size, unit = next(
        (size, unit)
        for below, size, unit in ((90, 1, "sn"), (5400, 60, "dk"), (129600, 3600, "sa"), (float("inf"), 86400, "gün"))
        if seconds < below
    )
    value = seconds / size
    return f"{short(value, 0 if value >= 10 else 1)} {unit}"


def written(value: float | None, unit: str) -> str:
    """Return a figure in its unit."""
    if value is None:
        return NONE
    match unit:
        case "share":
            return f"{'-' if value < 0 else ''}%{turkish(abs(100 * value), 1)}"
        case "seconds":
            return span(value)
        case "days":
            return f"{short(value, 1)} gün"
        case "milliseconds":
            return f"{short(value, 0 if value >= 10 else 1)} ms"
        case "money":
            return f"{'-' if value < 0 else ''}₺{turkish(abs(value), 0 if abs(value) >= 100 else 2)}"
        case "per_hour" | "per_minute" | "ratio" | "points":
            return turkish(value, 2 if value < 10 else 1)
    return short(value, 0 if value == int(value) or value >= 100 else 1)


class Api:
    """What the API answers an account."""

    def __init__(self, url: str, email: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=180)
        answer = self._http.post("/auth/login", json={"email": email, "password": demo.password()}).json()
        self._http.headers["Authorization"] = f"Bearer {answer['access_token']}"
        self._known = {item["name"]: item for item in self._http.get("/kpis").json()["items"]}

    def kpis(self, *metrics: str, **question: Any) -> list[dict[str, Any]]:
        """Return the rows of a question about the thirty days up to today, as the page asks."""
        today = datetime.now(words.ZONE).date()
        days = {"from": (today - timedelta(days=29)).isoformat(), "to": (today + timedelta(days=1)).isoformat()}
        answer = self._http.post("/kpis/query", json={"metrics": metrics} | days | question)
        assert answer.is_success, answer.text
        return answer.json()["rows"]

    def funnel(self, **question: Any) -> dict[str, int]:
        """Return how many cycles reached each stage."""
        rows = self.kpis("funnel_reached", **question)
        return {row["stage"]: row["funnel_reached"] for row in rows}

    def get(self, path: str, **wanted: Any) -> list[dict[str, Any]]:
        """Return the items of a list."""
        return self._http.get(path, params=wanted).json()["items"]

    def tiles(self, board: Board, filters: Filters) -> dict[str, str]:
        """Return what should stand in the place of each head-line figure of a page."""
        names = [name for part in board.parts if isinstance(part, Tiles) for name in part.names]
        rows = self._rows(names, (), filters)
        return {name: self._one(name, rows) for name in names}

    def table(self, part: Table, filters: Filters) -> list[tuple[str, ...]]:
        """Return what should stand in the columns of a table that can be told by its dimension, in order of texts."""
        names = [name for name in part.names if self._may_be_cut(name, (part.by, *filters))]
        rows = self._rows(names, (part.by,), filters)
        found: dict[Any, dict[str, str]] = {}
        for name in names:
            for row in _of(name, rows):
                found.setdefault(row[part.by], {})[name] = self._written(name, row)
        return sorted(tuple(texts.get(name, NONE) for name in names) for texts in found.values())

    def file(self, board: Board) -> Counter[tuple[str, str, str, float]]:
        """Return what should stand in the file of a page cut by team: metric, first day, period, value."""
        asks: dict[tuple[Any, ...], set[str]] = {(ask.by, ask.grain, ask.is_before): set() for ask in board.asks("day")}
        for ask in board.asks("day"):
            asks[ask.by, ask.grain, ask.is_before] |= {name for name in ask.metrics if self._may_be_cut(name, ask.by)}
        today = datetime.now(words.ZONE).date()
        found: Counter[tuple[str, str, str, float]] = Counter()
        for (by, grain, is_before), names in asks.items():
            first = today - timedelta(days=59 if is_before else 29)
            days = {"from": first.isoformat(), "to": (first + timedelta(days=30)).isoformat()}
            for row in self.kpis(*sorted(names), by=by, grain=grain, **days):
                period = row.get("metric_time") or ""
                told = {name: row[name] for name in names if row.get(name) is not None}
                found.update((name, days["from"], period, float(f"{told[name]:.12g}")) for name in told)
        return found

    def _rows(self, names: Sequence[str], by: tuple[str, ...], filters: Filters) -> list[dict[str, Any]]:
        metrics = dict.fromkeys(name.partition(".")[0] for name in names if self._may_be_cut(name, (*by, *filters)))
        clauses = [{"dim": dim, "values": list(values)} for dim, values in filters.items()]
        return self.kpis(*metrics, by=by, filters=clauses) if metrics else []

    def _may_be_cut(self, name: str, dims: Sequence[str]) -> bool:
        item = self._known[name.partition(".")[0]]
        return item["source_status"] == "available" and all(dim in item["dimensions"] for dim in dims)

    def _one(self, name: str, rows: list[dict[str, Any]]) -> str:
        metric = name.partition(".")[0]
        found = list(_of(name, rows))
        if name.endswith(".max"):
            found = sorted((row for row in found if row[metric] is not None), key=lambda row: -row[metric])
        return self._written(name, found[0]) if found else NONE

    def _written(self, name: str, row: dict[str, Any]) -> str:
        metric = name.partition(".")[0]
        return written(row[metric], self._known[metric]["unit"])


def _of(name: str, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows that hold a figure: of the stage, direction or channel that its name says."""
    metric, _, which = name.partition(".")
    yield from (row for row in rows if metric in row and (which in ("", "max") or which in row.values()))
