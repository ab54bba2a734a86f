"""Dialling campaigns that are not over, and how many more people each may leave without an agent."""

from html import escape
from typing import Any

from dashboards import markup, session, words
from dashboards.charts import GREEN, ORANGE
from dashboards.markup import VERMILLION, tip, value
from dashboards.words import name_of, say

FIRST = """curl -H "Authorization: Bearer $TOKEN" \\
  -H "Content-Type: application/json" {url}/dialer/campaigns \\
  -d '{{"code": "spring", "name": "Bahar", "mode": "progressive", "queue": "sales"}}'"""
BY_AGENTS = ("manual", "preview")
"""Modes in which the agent is on the line first."""
SIGNS = {"full": ("✓", GREEN), "progressive": ("◐", ORANGE), "zero": ("■", VERMILLION)}


def draw(answer: dict[str, Any]) -> str:
    """Return a card for each campaign, or how to make the first."""
    if not answer["items"]:
        if not session.may("dialling.manage"):
            return f"<p>{escape(say('dialling.none').rstrip(':'))}. {escape(say('ask_manager'))}</p>"
        return markup.how_to(say("dialling.none"), FIRST.format(url=session.url()))
    return f'<ul class="cards wide">{"".join(_card(item) for item in answer["items"])}</ul>'


def _card(item: dict[str, Any]) -> str:
    name = escape(item["name"])
    return (
        f'<li class="card" aria-label="{name}"><div class="head"><b role="heading" aria-level="3">{name}</b>'
        f'<span class="tag">{escape(name_of("mode", item["mode"]))}</span>'
        f'<span class="tag">{escape(name_of("run", item["status"]))}</span>'
        f'<span class="quiet">{escape(say("under_way", n=words.number(item["calls"])))}</span></div>'
        f"{_unmanned(item)}<p>{_allowed(item['mode'], item['budget'])}</p>{_windows(item['budget'])}</li>"
    )


def _unmanned(item: dict[str, Any]) -> str:
    if item["status"] != "running" or item["is_run"] or item["mode"] in BY_AGENTS:
        return ""
    return f"<p>{markup.state('not_responding', say('unmanned'))}</p>"


def _allowed(mode: str, budget: dict[str, Any]) -> str:
    """Say what the campaign may do now, and why."""
    allowed, reason = budget["allowed"], budget["reason"]
    sign, colour = SIGNS[allowed]
    why = "" if allowed == "full" else name_of("because", reason)
    parts = [say(f"may.{allowed}", n=words.number(budget["allowed_more"])), why]
    if mode in BY_AGENTS:
        parts, (sign, colour) = [say("may.by_agents")], SIGNS["full"]
    elif mode == "progressive" and (allowed == "full" or reason.endswith("unproven")):
        parts, (sign, colour) = [say("may.own_pace")], SIGNS["full"]
    said = escape(" ".join(part for part in parts if part))
    return f'<span class="sign" style="color:{colour}" aria-hidden="true">{sign}</span>{said}'


def _windows(budget: dict[str, Any]) -> str:
    heads = (
        escape(say("window")),
        tip(say("live_answers"), say("live_answers.help")),
        tip(say("left_alone"), say("left_alone.help")),
        tip(say("rate"), say("rate.help")),
        tip(say("bound"), say("bound.help", cap=words.share(budget["cap"]))),
        tip(say("more_allowed"), say("more_allowed.help")),
    )
    rows = [_window(each, budget["cap"]) for each in budget["windows"]]
    caption = say("budget")
    return markup.table(caption, heads, rows, widths=(17, 13, 13, 11, 33, 13), right=(1, 2, 3, 5))


def _window(each: dict[str, Any], cap: float) -> str:
    counts = (words.number(each["answered"]), words.number(each["abandoned"]))
    cells = (
        *counts,
        value(words.share(each["rate"]), say("rate.none")),
        _bound(each, cap),
        words.number(each["allowed_more"]),
    )
    return markup.row(escape(say(f"window.{each['window']}")), cells, right=(1, 2, 3, 5))


def _bound(each: dict[str, Any], cap: float) -> str:
    """Return the bar of a window and the upper bound beside it, marked where it is above the cap."""
    limit = f'<div class="limit">{escape(say("of_cap", cap=words.share(cap)))}</div>'
    if each["rate"] is None:
        none = value(words.NOTHING, say("rate.none"))
        return f'<div class="beside"><div class="scale">{markup.no_bullet()}{limit}</div><span>{none}</span></div>'
    rate, upper = words.share(each["rate"]), words.share(each["upper"])
    window, answered, abandoned = say(f"window.{each['window']}"), each["answered"], each["abandoned"]
    said = say(
        "bound.said", window=window, abandoned=words.number(abandoned), answered=words.number(answered), rate=rate,
        upper=upper, cap=words.share(cap),
    )  # fmt: skip
    bar = markup.bullet(each["lower"], each["rate"], each["upper"], cap, said)
    above = "▲ " if each["upper"] > cap else ""
    return f'<div class="beside"><div class="scale">{bar}{limit}</div><span>{above}{upper}</span></div>'
