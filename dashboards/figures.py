"""All figures of a page in few questions: asked at once, kept for as long as a publication stands.

A metric that is not in the catalogue yet, has no source yet, or cannot be narrowed by what is chosen, is left out of
the question, and the page says why; one that the API refuses does not take its neighbours with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import streamlit as st

from dashboards import catalogue, queries, session, words
from dashboards.queries import Rows, Scope

MOST = 20
"""Metrics that one question may name."""


ALWAYS = ("stage", "direction", "channel", "reason")
"""Dimensions that some metrics always come by."""


@dataclass(frozen=True)
class Ask:
    """Metrics wanted together: by which dimensions, in which grain, of the scope or of the period before it."""

    names: tuple[str, ...]
    by: tuple[str, ...] = ()
    grain: str | None = None
    is_before: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics' keys. A name may say which value of the dimension its metric always comes by is meant
        (`funnel_reached.sale`, `aht_s.inbound`), or that the highest of all is (`drop_rate_us.max`)."""
        return tuple(dict.fromkeys(name.partition(".")[0] for name in self.names))


@dataclass(frozen=True)
class Reply:
    """Rows of an ask, and why metrics are missing from them: `unknown`, `no_source`, `refused` or a dimension."""

    rows: Rows = field(default_factory=list)
    missing: Mapping[str, str] = field(default_factory=dict)

    def why_missing(self, name: str) -> str | None:
        """Return why a metric is not among the rows, if it is not."""
        return self.missing.get(name.partition(".")[0])

    def value(self, name: str) -> Any:
        """Return a metric of an ask without dimensions."""
        return next((row[name] for row in self.series(name)), None)

    def is_mature(self, name: str) -> bool:
        """Tell whether a metric of an ask without dimensions is final."""
        return all(row.get("is_mature", True) is not False for row in self.series(name))

    def why_null(self, name: str) -> str:
        """Return why a metric that is among the rows has no value: too few made it, or there was nothing to count."""
        return "suppressed" if any(row.get("is_suppressed") for row in self.series(name)) else "nothing"

    def series(self, name: str) -> list[dict[str, Any]]:
        """Return the rows that hold a metric, under its name."""
        metric, _, which = name.partition(".")
        rows = [{**row, name: row[metric]} for row in self.rows if metric in row]
        if which == "max":
            return _highest(rows, name)
        return [row for row in rows if not which or which in (row.get(dim) for dim in ALWAYS)]


def _highest(rows: Rows, name: str) -> Rows:
    """Return the row with the highest value of each period."""
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        best = found.get(row.get("metric_time"))
        if row[name] is not None and (best is None or row[name] > best[name]):
            found[row.get("metric_time")] = row
    return list(found.values())


@dataclass(frozen=True)
class Figures:
    """The replies of a page; `as_of` None: nothing is published yet."""

    replies: Mapping[Ask, Reply]
    as_of: str | None
    definition: str | None

    def __getitem__(self, ask: Ask) -> Reply:
        return self.replies.get(ask, Reply())


def ask(scope: Scope, asks: Iterable[Ask]) -> Figures:
    """Answer all asks of a page about a scope; those that are cut alike share their questions."""
    known = catalogue.catalogue()
    wanted = tuple(dict.fromkeys(asks))
    merged = {one: _together(one, wanted) for one in wanted}
    asked = tuple(dict.fromkeys(merged.values()))
    missing = {one: {name: why for name in one.metrics if (why := _why_not(known, name, one, scope))} for one in asked}
    parts = [(one, group) for one in asked for group in _groups(known, one, missing[one])]
    bodies = [_body(scope.before() if one.is_before else scope, one, group) for one, group in parts]
    answers = _answers(session.who(), catalogue.publication(), tuple(bodies), session.token(), words.language())
    rows: dict[Ask, Rows] = {one: [] for one in asked}
    for (one, group), answer in zip(parts, answers, strict=True):
        rows[one] += answer["rows"]
        missing[one] |= {name: why for name in group if (why := _why_null(answer, name))}
    published = [answer for answer in answers if answer["as_of"]]
    told = min(published, key=lambda answer: answer["as_of"], default={"as_of": None, "definition": None})
    replies = {one: _reply(one, rows[merged[one]], missing[merged[one]]) for one in wanted}
    return Figures(replies, told["as_of"], told["definition"])


def _together(one: Ask, wanted: Iterable[Ask]) -> Ask:
    """Return the ask for the metrics of all asks that are cut like one."""
    alike = [each for each in wanted if (each.by, each.grain, each.is_before) == (one.by, one.grain, one.is_before)]
    return Ask(tuple(dict.fromkeys(name for each in alike for name in each.metrics)), one.by, one.grain, one.is_before)


def _reply(one: Ask, rows: Rows, missing: Mapping[str, str]) -> Reply:
    return Reply(rows, {name: why for name, why in missing.items() if name in one.metrics})


def _why_not(known: Mapping[str, catalogue.Kpi], name: str, one: Ask, scope: Scope) -> str | None:
    """Return why a metric cannot be asked for, or None."""
    if name not in known:
        return "unknown"
    if not known[name].has_source:
        return "no_source"
    needed = (*one.by, *(dim for dim, values in scope.chosen.items() if values))
    return next((dim for dim in needed if dim not in known[name].dimensions), None)


def _why_null(answer: Mapping[str, Any], name: str) -> str | None:
    """Return why a metric that was asked for has no value at all, or None."""
    if name not in answer["metrics"]:
        return "refused"
    if name in answer.get("unpublished", ()):
        return "unknown"
    return "no_source" if name in answer.get("without_source", ()) else None


def _groups(known: Mapping[str, catalogue.Kpi], one: Ask, missing: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return the metrics of an ask as questions: those that become final together, so that a row says so of all."""
    together: dict[int, list[str]] = {}
    for name in one.metrics:
        if name not in missing:
            together.setdefault(known[name].maturity_days, []).append(name)
    return [tuple(names[at : at + MOST]) for names in together.values() for at in range(0, len(names), MOST)]


def _body(scope: Scope, one: Ask, group: tuple[str, ...]) -> tuple[Any, ...]:
    return group, one.by, one.grain, scope.key


def _question(body: tuple[Any, ...]) -> dict[str, Any]:
    metrics, by, grain, (first, last, chosen) = body
    return {
        "metrics": list(metrics),
        "by": list(by),
        "grain": grain,
        "from": first.isoformat(),
        "to": _after(last).isoformat(),
        "filters": [{"dim": dim, "values": list(values)} for dim, values in chosen if values],
    }


def _after(day: date) -> date:
    return day + timedelta(days=1)


@st.cache_data(ttl=queries.KEPT, show_spinner=False, max_entries=400)
def _answers(
    who: str, published: str | None, bodies: tuple[Any, ...], _token: str, language: str
) -> list[dict[str, Any]]:
    found = _send(bodies, _token, language)
    return [
        _mended(body, answer, _token, language, is_published=published is not None)
        for body, answer in zip(bodies, found, strict=True)
    ]


def _send(bodies: Iterable[tuple[Any, ...]], token: str, language: str) -> list[Any]:
    return session.send_all([("POST", "/kpis/query", {"json": _question(body)}) for body in bodies], token, language)


def _mended(body: tuple[Any, ...], answer: Any, token: str, language: str, *, is_published: bool) -> dict[str, Any]:
    """Return an answer; of a refused question what its halves come to, down to the one metric that is at fault."""
    metrics, *rest = body
    if not isinstance(answer, session.Refused):
        # One metric whose tables are not published yet leaves a whole question without an answer.
        if answer["as_of"] or not is_published or len(metrics) == 1:
            return dict(answer) if answer["as_of"] else {**answer, "unpublished": metrics}
    elif answer.status in (401, 403):
        raise answer
    if len(metrics) == 1:
        return {"rows": [], "metrics": [], "as_of": None, "definition": None}
    half = len(metrics) // 2
    halves = [(metrics[:half], *rest), (metrics[half:], *rest)]
    found = _send(halves, token, language)
    first, second = (
        _mended(one, part, token, language, is_published=is_published) for one, part in zip(halves, found, strict=True)
    )
    return {
        "rows": first["rows"] + second["rows"],
        "metrics": [*first["metrics"], *second["metrics"]],
        "unpublished": [*first.get("unpublished", ()), *second.get("unpublished", ())],
        "without_source": [*first.get("without_source", ()), *second.get("without_source", ())],
        "as_of": first["as_of"] or second["as_of"],
        "definition": first["definition"] or second["definition"],
    }
