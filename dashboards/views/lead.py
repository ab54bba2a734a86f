"""From a figure to the leads behind it, and from a lead to everything that happened to it."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from dashboards import grid, markup, names, records, session, words
from dashboards.queries import Scope
from dashboards.words import name_of, say

VIEW = ("lead.view.own", "lead.view.team", "lead.view.all")
FIELDS = {name: name for name in ("platform", "source", "campaign", "form", "team")} | {
    "agent": "owner",
    "reason": "loss_reason",
}
"""Dimensions of figures and the filters of the list of leads that mean them."""
ICONS = {
    "lead.created": ("+", "#009E73"),
    "lead.assigned": ("→", "#7F7F7F"),
    "lead.status_changed": ("●", "#0072B2"),
    "lead.sold": ("★", "#E69F00"),
    "call": ("☎", "#56B4E9"),
    "message": ("✉", "#CC79A7"),
    "meeting": ("◆", "#D55E00"),
    "note": ("✎", "#7F7F7F"),
}
STYLE = """
<style>
.tl {list-style:none; margin:0 0 1rem 0; padding:0; position:relative}
.tl:before {content:""; position:absolute; left:13px; top:8px; bottom:8px; width:2px; background:currentColor;
            opacity:.12}
.tl li {position:relative; padding:0 0 14px 42px; margin:0; line-height:1.4}
.tl .dot {position:absolute; left:0; top:0; width:28px; height:28px; border-radius:50%; color:#fff; text-align:center;
          line-height:28px; font-size:14px}
.tl .when {opacity:.65; font-size:.82em; float:right; margin-left:12px}
.tl .what {font-weight:600}
.tl .more {opacity:.8; font-size:.92em}
.tl .note {border-left:3px solid currentColor; padding:2px 0 2px 10px; margin-top:4px; font-size:.92em; opacity:.85}
</style>"""


def explore(scope: Scope, *, stage: str | None) -> None:
    """Show the leads of a scope (those that stand in a stage now, when one is picked) and the timeline of one."""
    st.header(say("list"), anchor=False)
    if not any(session.may(permission) for permission in VIEW):
        st.info(say("list.forbidden"), icon=":material/lock:")
        return
    st.caption(say("list.stage", stage=say(f"stage.{stage}")) if stage else say("list.all"))
    of_scope(scope, (standing_in(stage),) if stage else (), where="page")


def of_scope(scope: Scope, filters: Sequence[str], *, where: str = "over") -> None:
    """Show the leads received in a scope that pass the API's filters, and the timeline of one.

    `where` tells two lists apart that show at once: on the page, and over it.
    """
    with st.container(key=f"explore-{where}"):
        left, right = st.columns([8, 5], gap="medium")
    with left:
        chosen = _list(scope, tuple(filters), where)
    with right:
        if chosen:
            show_timeline(chosen)
        else:
            st.info(say("list.pick"), icon=":material/touch_app:")


def standing_in(stage: str) -> str:
    """Return the API's filter on leads that stand in a stage now."""
    return records.among("status", [row["code"] for row in records.statuses(words.language()) if row["stage"] == stage])


def _list(scope: Scope, filters: tuple[str, ...], where: str) -> dict[str, Any] | None:
    place = f"{where} {hash((scope.key, filters))}"
    trail: list[str] = st.session_state.setdefault(f"trail {place}", [])
    page = records.leads(
        _listable(scope),
        filters=filters,
        cursor=trail[-1] if trail else None,
        language=words.language(),
    )
    if not page["items"]:
        st.info(say("list.empty"), icon=":material/search_off:")
        return None
    rows = grid.show(
        [_row(item) for item in page["items"]], _columns(), {"received": words.instant}, height=560,
        key=f"leads {place} {len(trail)}", picks=True,
    )  # fmt: skip
    with st.container(horizontal=True):
        if trail:
            st.button(say("back"), icon=":material/first_page:", key=f"first {place}", on_click=trail.clear)
        if page["next_cursor"]:
            more = {"on_click": trail.append, "args": (page["next_cursor"],)}
            st.button(say("more"), icon=":material/chevron_right:", key=f"next {place}", **more)
    return page["items"][rows[0]] if rows else None


def _listable(scope: Scope) -> Scope:
    """Keep what the list of leads can be narrowed by, without the marts' word for no value, which no lead carries."""
    known = {
        FIELDS[dim]: [value for value in values if value != "unknown"]
        for dim, values in scope.chosen.items()
        if dim in FIELDS
    }
    return Scope(scope.first, scope.last, {dim: values for dim, values in known.items() if values})


def _row(item: dict[str, Any]) -> dict[str, str]:
    return {
        "person": item["contact"]["name"] or words.NOTHING,
        "phone": item["contact"]["phone_masked"] or item["contact"]["email_masked"] or words.NOTHING,
        "status": item["status"]["label"],
        "owner": item["owner"]["name"] if item["owner"] else words.NOTHING,
        "received": item["received_at"],
    }


def _columns() -> dict[str, Any]:
    widths = {"person": 130, "phone": 122, "status": 100, "owner": 107, "received": 98}
    return {key: st.column_config.TextColumn(say(key), width=width) for key, width in widths.items()}


def show_timeline(item: dict[str, Any]) -> None:
    """Show who a lead is, masked, and what happened to it, the newest first."""
    contact = item["contact"]
    st.markdown(f"### {markup.plain(contact['name'] or words.NOTHING)}")
    masked = "  ·  ".join(part for part in (contact["phone_masked"], contact["email_masked"]) if part)
    campaign = names.campaigns().get(item["campaign"] or "", item["campaign"] or item["source"])
    st.caption(f"{masked}  \n{name_of('', item['platform'])}  ·  {markup.plain(campaign)}")
    st.badge(markup.plain(item["status"]["label"]), color="blue")
    events = records.timeline(item["id"])
    if not events:
        st.caption(say("timeline.empty"))
        return
    labels = {row["code"]: row["label"] for row in records.statuses(words.language())}
    with st.container(height=430, border=False):
        st.html(STYLE + f'<ul class="tl">{"".join(_entry(event, labels) for event in events)}</ul>')


def _entry(event: dict[str, Any], labels: dict[str, str]) -> str:
    icon, colour = ICONS.get(event["kind"], ("●", "#7F7F7F"))
    who = event["actor"]["name"] if event["actor"] else say("by_system")
    note = f'<div class="note">{escape(event["note"])}</div>' if event["note"] else ""
    return (
        f'<li><span class="dot" style="background:{colour}">{icon}</span>'
        f'<span class="when">{words.instant(event["occurred_at"])}</span>'
        f'<span class="what">{escape(name_of("kind", event["kind"]))}</span>'
        f'<div class="more">{escape(_said(event, labels))} — {escape(who)}</div>{note}</li>'
    )


def _said(event: dict[str, Any], labels: dict[str, str]) -> str:
    """Return the particulars of something that happened, in words."""
    detail = event["detail"]
    match event["kind"]:
        case "lead.status_changed":
            change = f"{labels.get(detail['from'], detail['from'])} → {labels.get(detail['to'], detail['to'])}"
            reason = name_of("reason", detail.get("reason"))
            return f"{change} ({reason})" if reason else change
        case "lead.assigned":
            return name_of("reason", detail.get("reason"))
        case "lead.created":
            return name_of("", detail.get("platform"))
        case "lead.sold" | "lead.sale_cancelled" | "quote.made":
            return words.money(detail["amount_minor"] / 10 ** detail["exponent"], detail["currency"])
    parts = (
        name_of("channel", event["channel"]),
        name_of("direction", event["direction"]),
        outcome((event["outcome"] or "").removeprefix("consent.")),
    )
    return ", ".join(part for part in parts if part)


def outcome(code: str) -> str:
    """Return in words what came of it: of a call, of what was said in one, or why there was none."""
    group = next((group for group in ("outcome", "call", "reason") if f"{group}.{code}" in words.WORDS), "outcome")
    return name_of(group, code)
