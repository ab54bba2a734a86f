"""Queues as they stand now: a card each."""

from html import escape
from typing import Any

from dashboards import markup, session, words
from dashboards.charts import GREEN
from dashboards.markup import VERMILLION, tip, value
from dashboards.words import say

FIRST = """curl -H "Authorization: Bearer $TOKEN" \\
  -H "Content-Type: application/json" {url}/queue \\
  -d '{{"code": "sales", "settings": {{"labels": {{"tr": "Satış", "en": "Sales"}}, "sl_s": 20}}}}'"""


def draw(answer: dict[str, Any]) -> str:
    """Return the cards, or how to make the first queue."""
    if not answer["queues"]:
        if not session.may("queue.manage"):
            return f"<p>{escape(say('queues.none').rstrip(':'))}. {escape(say('ask_manager'))}</p>"
        return markup.how_to(say("queues.none"), FIRST.format(url=session.url()))
    return f'<ul class="cards">{"".join(_card(line) for line in answer["queues"])}</ul>'


def name_of(line: dict[str, Any]) -> str:
    """Return what people call a queue."""
    return str(line["labels"].get(words.language()) or line["code"])


def _card(line: dict[str, Any]) -> str:
    tags = [key for key, is_so in (("paused", line["is_paused"]), ("overflowing", line["is_overflowing"])) if is_so]
    marked = "".join(f'<span class="tag">{escape(say(f"queue.{key}"))}</span>' for key in tags)
    name = escape(name_of(line))
    return markup.apart(
        f'<li class="card" aria-label="{name}">'
        f'<div class="head"><b role="heading" aria-level="3">{name}</b>'
        f'<span class="quiet">{escape(line["code"])}</span>{marked}</div>'
        f"<dl>{_figures(line)}</dl>{_agents(line)}"
        f'<div class="quiet">{escape(_next(line))}</div></li>',
        line["code"],
    )


def _figures(line: dict[str, Any]) -> str:
    longest = value(words.clock(line["longest_wait_s"]), say("longest.none"))
    level = value(words.share(line["service_level"]), say("service_level.none"))
    return (
        f"<div><dt>{tip(say('depth'), say('depth.help'))}</dt><dd class='big'>{words.number(line['depth'])}</dd></div>"
        f"<div><dt>{tip(say('longest'), say('longest.help'))}</dt><dd class='big'>{longest}</dd></div>"
        f"<div class='edge'><dt>{tip(say('service_level'), say('service_level.help', s=line['sl_s']))}</dt>"
        f"<dd class='big'>{level}</dd><dd class='quiet'>{escape(say('half_hour', n=words.number(line['n'])))}</dd>"
        f"<dd>{_against_target(line)}</dd></div>"
    )


def _against_target(line: dict[str, Any]) -> str:
    if line["service_level"] is None:
        return ""
    is_under = line["service_level"] < line["sl_target"]
    said = escape(say(f"service_level.{'under' if is_under else 'on'}", target=words.number(100 * line["sl_target"])))
    sign, colour = ("▼", VERMILLION) if is_under else ("✓", GREEN)
    return f'<span class="sign" style="color:{colour}" aria-hidden="true">{sign}</span>{said}'


def _agents(line: dict[str, Any]) -> str:
    if not any(line["agents"].values()):
        return f"<div>{markup.state('not_responding', say('queue.nobody'))}</div>"
    return markup.states(line["agents"])


def _next(line: dict[str, Any]) -> str:
    if line["next_wait_s"] is None:
        return say("next_wait.none")
    if line["next_wait_s"] == 0:
        return say("next_wait.now")
    return say("next_wait", wait=words.span(line["next_wait_s"]))
