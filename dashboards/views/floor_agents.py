"""Agents at the telephone: who, how they stand and since when, why, and how busy their day was."""

from datetime import datetime
from html import escape
from typing import Any

from dashboards import markup, session, words
from dashboards.markup import tip, value
from dashboards.words import name_of, say

FIRST = """curl -X PUT -H "Authorization: Bearer $TOKEN" \\
  -H "Content-Type: application/json" {url}/pbx/agents/<user id>/endpoint \\
  -d '{{"endpoint": "PJSIP/agent-7"}}'"""
URGENT = ("not_responding", "ringing", "reserved", "on_call", "wrap_up", "available", "paused", "offline")
"""The order of the rows: who needs a look first, who is away last."""


def draw(answer: dict[str, Any]) -> str:
    """Return the agents' table below the sum of all, or how the first agent gets a telephone."""
    agents = [item for item in answer["items"] if item["telephone"]]
    if not agents:
        if not session.may("agent.manage"):
            return f"<p>{escape(say('agents.none').rstrip(':'))}. {escape(say('agents.ask_admin'))}</p>"
        return markup.how_to(say("agents.none"), FIRST.format(url=session.url()))
    agents.sort(key=lambda item: (URGENT.index(item["telephone"]["state"]), item["telephone"]["since"] or ""))
    heads = (
        escape(say("agent")),
        escape(say("state")),
        tip(say("since"), say("since.help")),
        escape(say("why")),
        tip(say("occupancy"), say("occupancy.help")),
    )
    at = datetime.fromisoformat(answer["as_of"])
    teams = len({item["team_id"] for item in agents})
    rows = [_row(item, answer["reasons"], at, with_team=teams > 1) for item in agents]
    return f"{_sum(answer)}{markup.table(say('agents'), heads, rows, widths=(26, 19, 12, 22, 21), right=(2, 4))}"


def _sum(answer: dict[str, Any]) -> str:
    occupancy = value(words.share(answer["occupancy"]), say("occupancy.none"))
    return (
        f'<div class="line">{markup.states(answer["agents_by_state"])}'
        f'<span class="num">{escape(say("occupancy"))} <b>{occupancy}</b></span></div>'
    )


def _row(item: dict[str, Any], reasons: dict[str, str], at: datetime, *, with_team: bool) -> str:
    telephone = item["telephone"]
    since, reason, share = telephone["since"], telephone["reason"], telephone["occupancy"]
    running = (at - datetime.fromisoformat(since)).total_seconds() if since else None
    pending = telephone["pending"]
    follows = say("follows", state=name_of("agent", pending)) if pending else ""
    why = reasons.get(reason) or name_of("pause", reason)
    cells = (
        markup.state(telephone["state"]),
        value(words.clock(running), say("since.none")),
        escape(" · ".join(part for part in (why, follows) if part)),
        value(words.NOTHING, say("occupancy.none")) if share is None else markup.beside(words.share(share), share),
    )
    team = f' <span class="quiet">{escape(item["team_name"])}</span>' if with_team else ""
    return markup.row(
        escape(item["name"]) + team, cells, right=(2, 4), kind="faint" if telephone["state"] == "offline" else ""
    )
