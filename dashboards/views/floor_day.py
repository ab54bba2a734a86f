"""The figures of today by queue, beside those of all."""

from html import escape
from typing import Any

from dashboards import markup, words
from dashboards.markup import tip, value
from dashboards.views import floor_queues
from dashboards.words import say

NONE = {"offered": 0, "answered": 0, "abandoned": 0, "offered_ooh": 0, "service_level": None, "asa_s": None}
RIGHT = (1, 2, 3, 4, 5)


def draw(answer: dict[str, Any]) -> str:
    """Return the table: each queue in use, and each that had calls today."""
    names = {line["code"]: floor_queues.name_of(line) for line in answer["queues"]}
    found = {row["queue"]: row for row in answer["items"]}
    rows = [_row(names.get(code, code), found.get(code, NONE)) for code in sorted({*names, *found})]
    if len(rows) > 1:
        rows += [_row(say("total"), total, kind="total") for total in answer["total"]]
    if not rows:
        return f"<p>{escape(say('day.none'))}</p>"
    heads = (
        escape(say("queue")),
        tip(say("offered"), say("offered.help")),
        tip(say("answered"), say("answered.help")),
        tip(say("abandoned"), say("abandoned.help")),
        tip(say("service_level"), say("day.level.help")),
        tip(say("asa"), say("asa.help")),
    )
    return markup.table(say("day"), heads, rows, widths=(25, 12, 15, 15, 16, 17), right=RIGHT) + _outside(answer)


def _row(name: str, figures: dict[str, Any], kind: str = "") -> str:
    cells = (
        *(words.number(figures[key]) for key in ("offered", "answered", "abandoned")),
        value(words.share(figures["service_level"]), say("day.level.none")),
        value(words.span(figures["asa_s"]), say("asa.none")),
    )
    return markup.row(escape(name), cells, right=RIGHT, kind=kind)


def _outside(answer: dict[str, Any]) -> str:
    calls = sum(row["offered_ooh"] for row in answer["total"])
    return f'<p class="quiet">{escape(say("outside_hours", n=words.number(calls)))}</p>' if calls else ""
