"""The catalogue of KPIs as the API publishes it: what each is called, how it is worked out, when it is final."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboards import session, words
from dashboards.words import say

PROBED = 10
"""Seconds between two looks at what is published."""

LESS_IS_BETTER = frozenset(
    {
        "abandonment_rate", "abandonment_rate_gross", "acw_s", "agent_response_s", "aht_s", "api_p95_ms", "asa_s",
        "attempts_per_contact", "avg_abandon_wait_s", "compliance_incidents", "cpa", "cpl", "cpl_unique", "cpql",
        "dial_block_rate", "dial_fail_rate", "drop_rate_uk", "drop_rate_us", "duplicate_rate", "error_rate_5xx",
        "event_lag_s", "first_response_s", "first_response_s_biz", "hold_s", "ingestion_lag_s", "mart_freshness_s",
        "overdue_followups", "platform_lead_gap", "reassignment_rate", "short_abandons", "shrinkage",
        "speed_to_lead_s", "speed_to_lead_s_p90", "time_to_contact_s", "transfer_rate", "wait_p50", "wait_p90",
        "wrong_number_rate",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Kpi:
    """One metric: its words in the visit's language and what is needed to ask for it."""

    name: str
    label: str
    description: str
    formula: str
    edge_cases: tuple[str, ...]
    owner: str
    unit: str
    maturity_days: int
    dimensions: frozenset[str]
    has_source: bool


@dataclass(frozen=True)
class Published:
    """What the API publishes: its metrics by language and key, and up to when their figures hold everything."""

    kpis: Mapping[str, Mapping[str, Kpi]]
    as_of: str | None


def _now() -> Published:
    """Return what is published, kept with the visit: a page looks hundreds of words up."""
    asked_at, found = st.session_state.get(session.PUBLISHED, (0.0, None))
    if found is None or time.monotonic() - asked_at > PROBED:
        found = _published(session.send("GET", "/kpis", session.token(), "en")["items"])
        st.session_state[session.PUBLISHED] = (time.monotonic(), found)
    return found  # type: ignore[no-any-return]


def _published(items: list[dict[str, Any]]) -> Published:
    kpis = {language: {item["name"]: _kpi(item, language) for item in items} for language in words.LANGUAGES}
    return Published(kpis, max((item["as_of"] for item in items if item["as_of"]), default=None))


def catalogue() -> Mapping[str, Kpi]:
    """Return every metric that can be asked for, by its key."""
    return _now().kpis[words.language()]


def publication() -> str | None:
    """Return up to when the published figures hold everything; None before the first publication."""
    return _now().as_of


def _kpi(item: dict[str, Any], language: str) -> Kpi:
    return Kpi(
        name=item["name"],
        label=_said(item, "label", language),
        description=_said(item, "description", language),
        formula=item["formula"],
        edge_cases=tuple(item.get("edge_cases") or ()),
        owner=item["owner"],
        unit=item["unit"],
        maturity_days=item["maturity_days"],
        dimensions=frozenset(item["dimensions"]),
        has_source=item["source_status"] == "available",
    )


def _said(item: dict[str, Any], key: str, language: str) -> str:
    """Return a text of the catalogue in a language, or in the one it has."""
    return str(item[f"{key}_tr" if language == "tr" else key])


def kpi(name: str) -> Kpi | None:
    """Return a metric; `funnel_reached.sale` names one of its stages."""
    return catalogue().get(name.partition(".")[0])


def label(name: str) -> str:
    """Return what people call a metric; one the catalogue does not know keeps its key, in words."""
    metric, _, which = name.partition(".")
    if metric == "funnel_reached" and which:
        return say(f"reached.{which}")
    if which:
        said = say("highest") if which == "max" else words.name_of("which", which)
        whole = label(metric)
        return f"{whole[:-1]}, {said})" if whole.endswith(")") else f"{whole} ({said})"
    known = kpi(name)
    return known.label if known else name.removesuffix("_s").replace("_", " ").capitalize()


def head(name: str) -> str:
    """Return what a metric is called above a column, shorter where its whole label takes the room of two."""
    metric, _, which = name.partition(".")
    short = f"head.{metric}"
    if short not in words.WORDS:
        return label(name)
    return f"{say(short)} ({words.name_of('which', which)})" if which else say(short)


def is_better_low(name: str) -> bool:
    """Tell whether less of a metric is better."""
    return name.partition(".")[0] in LESS_IS_BETTER


def definition(name: str) -> str:
    """Return the definition of a metric as it is told on hover (Markdown)."""
    known = kpi(name)
    if known is None:
        return say("kpi.unknown", metric=name)
    parts = [known.description, f"**{say('kpi.formula')}:** `{known.formula}`"]
    if known.edge_cases:
        parts.append(f"**{say('kpi.edge_cases')}:**\n" + "\n".join(f"- {case}" for case in known.edge_cases))
    if known.maturity_days:
        parts.append(say("kpi.final_after", days=words.number(known.maturity_days)))
    parts.append(f"**{say('kpi.owner')}:** {known.owner} · `{known.name}`")
    return "\n\n".join(parts)


def written(name: str, value: float | None) -> str:
    """Return a metric's value as people write it, in its unit."""
    known = kpi(name)
    if value is None or known is None:
        return words.NOTHING
    match known.unit:
        case "share":
            return words.share(value)
        case "seconds":
            return words.span(value)
        case "days":
            return f"{words.number(value, 1)} {say('unit.days')}"
        case "money" | "money_per_day":
            return words.money(value, session.me().get("currency"))
        case "ms" | "milliseconds":
            return f"{words.number(value, 0 if value >= 10 else 1)} ms"
        case "per_hour" | "per_minute" | "ratio" | "score" | "points" | "per_contact":
            return words.exact(value, 2 if value < 10 else 1)
    return words.number(value, 0 if float(value).is_integer() or value >= 100 else 1)
