"""Pieces of HTML for what changes every few seconds: read aloud and reached by keyboard, none of it by colour alone."""

import re
from collections.abc import Collection, Iterable, Sequence
from html import escape
from itertools import count
from zlib import crc32

from dashboards import charts, words
from dashboards.charts import BLUE, GREEN, ORANGE, SKY

TIP = re.compile(r'(?<=")tip-[0-9a-f]{8}(?=")')
"""The name of a tip, in the two places that bear it: what it explains, and then the tip itself."""
VERMILLION, GREY = "#D55E00", "#7F7F7F"
SIGNS = {
    "available": ("●", GREEN),
    "reserved": ("◔", SKY),
    "ringing": ("◉", SKY),
    "on_call": ("☎\ufe0e", BLUE),
    "wrap_up": ("✎", ORANGE),
    "paused": ("Ⅱ", GREY),
    "not_responding": ("▲", VERMILLION),
    "offline": ("○", GREY),
}
"""The sign and the colour of each state of an agent, in the order in which states are shown."""
BARS = 45
"""Bars that a sparkline has room for."""
MARKS = re.compile(r"[\\`*_{}\[\]()<>#+.!|~$:&-]")
"""What Markdown may take for more than text."""
LIMIT = '<i style="left:calc(50% - 1px);width:0;border-left:2px solid currentColor"></i>'
STYLE = """
<style>
.floor {font-size: .95rem; line-height: 1.4; font-variant-numeric: tabular-nums}
.floor.late {opacity: .6}
.stElementContainer[data-stale="true"]:has(.floor) {opacity: 1 !important}
.floor .quiet {opacity: .75}
.floor .sign {display: inline-block; width: 1.6em; text-align: center; font-weight: 700}
.floor .tag {display: inline-block; padding: 0 .55em; border: 1px solid currentColor; border-radius: 1em;
             font-size: .84rem; white-space: nowrap}
.floor .tip {position: relative; cursor: help; text-decoration: underline dotted; text-underline-offset: .25em;
             text-decoration-thickness: 1px}
.floor .tip > span {visibility: hidden; position: absolute; left: 0; top: 1.7em; z-index: 9; width: max-content;
                    max-width: 300px; padding: .5em .7em; border-radius: .4em; background: #1D2730; color: #fff;
                    font-size: .84rem; font-weight: 400; line-height: 1.4; text-align: left; white-space: normal;
                    letter-spacing: 0}
.floor .num .tip > span, .floor .edge .tip > span {left: auto; right: 0}
.floor .tip:hover > span, .floor .tip:focus > span {visibility: visible}
.floor .cards {display: grid; grid-template-columns: repeat(auto-fill, minmax(min(360px, 100%), 1fr)); gap: .8rem;
               list-style: none; margin: 0; padding: 0}
.floor .card {border: 1px solid color-mix(in srgb, currentColor 16%, transparent); border-radius: .6rem; margin: 0;
              padding: .8rem 1rem}
.floor .head {display: flex; flex-wrap: wrap; gap: .1rem .6rem; align-items: baseline; margin-bottom: .5rem}
.floor .head b {font-size: 1.15rem}
.floor dl {display: grid; grid-template-columns: 1fr 1fr 1.35fr; gap: .6rem; margin: 0 0 .6rem 0; padding: 0}
.floor dt {font-size: .84rem; font-weight: 400}
.floor dd {margin: 0}
.floor .big {font-size: 1.9rem; line-height: 1.25; font-weight: 600}
.floor .chips {display: flex; flex-wrap: wrap; gap: .15rem 1rem; list-style: none; margin: 0; padding: 0}
.floor .chips li {margin: 0; white-space: nowrap}
.floor table {width: 100%; border-collapse: collapse; margin: 0}
.floor th, .floor td {padding: .36rem .6rem; text-align: left; font-weight: 400; vertical-align: middle; border: 0;
                      border-bottom: 1px solid color-mix(in srgb, currentColor 12%, transparent)}
.floor thead th {font-size: .84rem; vertical-align: bottom}
.floor tbody tr:last-child > * {border-bottom: 0}
.floor tr.total > * {font-weight: 600; border-top: 1px solid color-mix(in srgb, currentColor 40%, transparent)}
.floor .num {text-align: right; white-space: nowrap}
.floor .bar {position: relative; height: .7rem; min-width: 64px; border-radius: .2rem; overflow: hidden;
             background: color-mix(in srgb, currentColor 12%, transparent)}
.floor .bar > i {position: absolute; top: 0; bottom: 0}
.floor .beside {display: flex; align-items: center; gap: .6rem; justify-content: flex-end}
.floor .beside .bar {flex: 1; max-width: 110px}
.floor .beside > span {min-width: 3.7em; text-align: right; white-space: nowrap}
.floor .beside .scale {flex: 1}
.floor .beside .scale .bar {max-width: none}
.floor .line {display: flex; flex-wrap: wrap; gap: .2rem 1.5rem; justify-content: space-between; margin-bottom: .4rem}
.floor .limit {font-size: .8rem; line-height: 1.2; text-align: center; margin-top: .1rem; opacity: .75}
.floor .cards.wide {grid-template-columns: repeat(auto-fill, minmax(min(560px, 100%), 1fr))}
.floor .card p, .floor > p:not(.at) {margin: 0 0 .4rem 0}
.floor .faint > * {opacity: .7}
.floor pre {padding: .7rem 1rem; border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere;
            background: color-mix(in srgb, currentColor 8%, transparent)}
.floor table + p {margin-top: .9rem !important}
.said {margin: 0; padding-left: 2.1rem; line-height: 1.5}
.floor .at {font-size: .84rem; text-align: right; margin: -2rem 0 .6rem 0; line-height: 1.6}
.floor tbody th, .floor .state {white-space: nowrap}
.floor.wraps tbody th {white-space: normal; overflow-wrap: anywhere}
.floor.wraps tbody > tr > * {vertical-align: top}
@media (max-width: 1000px) {
  .floor th, .floor td {padding: .34rem .35rem}
  .floor .beside > .bar {display: none}
}
.floor .unseen {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)}
</style>"""


def plain(text: str) -> str:
    """Return a text of somebody's for Markdown, which shows it as it is: no picture of another's server, no link."""
    return MARKS.sub(r"\\\g<0>", text).replace("\\://", "\\:\u2060//").replace("www\\.", "www\u2060\\.")


def tip(text: str, said: str) -> str:
    """Return a text that explains itself to who points at it, or moves onto it by keyboard."""
    name = f"tip-{crc32(f'{text}|{said}'.encode()):08x}"  # the same at each refresh, which then changes nothing
    return (
        f'<span class="tip" tabindex="0" aria-describedby="{name}">{escape(text)}'
        f'<span role="tooltip" id="{name}">{escape(said)}</span></span>'
    )


def apart(html: str, place: str) -> str:
    """Return a part of a page with names of its own for its tips: the same reason may stand in many places."""
    number = count()
    return TIP.sub(lambda _: f"tip-{crc32(place.encode()):08x}-{next(number) // 2}", html)


def value(text: str, none: str) -> str:
    """Return a value; in place of a missing one the dash, with the reason."""
    return tip(text, none) if text == words.NOTHING else escape(text)


def state(code: str, text: str | None = None) -> str:
    """Return the sign of an agent's state and its name, or another text for it."""
    sign, colour = SIGNS.get(code, ("?", GREY))
    colour = blue() if colour == BLUE else colour
    said = text if text is not None else words.name_of("agent", code)
    signed = f'<span class="sign" style="color:{colour}" aria-hidden="true">{sign}</span>'
    return f'<span class="state">{signed}{escape(said)}</span>'


def states(counts: dict[str, int]) -> str:
    """Return how many agents are in which state, those that occur, as a list."""
    found = [(code, counts[code]) for code in SIGNS if counts.get(code)]
    items = (f"<li>{state(code, ' '.join((words.number(n), words.name_of('agent', code))))}</li>" for code, n in found)
    return f'<ul class="chips">{"".join(items)}</ul>'


def table(
    caption: str, heads: Sequence[str], rows: Iterable[str], *, widths: Sequence[int], right: Collection[int]
) -> str:
    """Return a table of heads (HTML) and rows: `caption` for who hears it, widths in percent, numbers to the right."""
    sizes = "".join(f'<col style="width:{width}%">' for width in widths)
    cells = "".join(f'<th scope="col"{_side(place, right)}>{head}</th>' for place, head in enumerate(heads))
    return apart(
        f'<table><caption class="unseen">{escape(caption)}</caption><colgroup>{sizes}</colgroup>'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>",
        caption,
    )


def row(name: str, cells: Sequence[str], *, right: Collection[int], kind: str = "") -> str:
    """Return a row of a table: its head and its cells (HTML)."""
    rest = "".join(f"<td{_side(place, right)}>{cell}</td>" for place, cell in enumerate(cells, 1))
    return f'<tr class="{kind}"><th scope="row">{name}</th>{rest}</tr>'


def _side(place: int, right: Collection[int]) -> str:
    return ' class="num"' if place in right else ""


def how_to(said: str, command: str) -> str:
    """Return what to do about an empty part of the page, with the command that does it."""
    return f"<p>{escape(said)}</p><pre><code>{escape(command)}</code></pre>"


def bar(share: float) -> str:
    """Return a bar filled up to a share, for the eye: the number stands beside it."""
    width = 100 * min(max(share, 0.0), 1.0)
    filled = f"left:0;width:{width:.1f}%;background:{blue()}"
    return f'<div class="bar" aria-hidden="true"><i style="{filled}"></i></div>'


def beside(text: str, share: float) -> str:
    """Return a share as a bar with its number beside it."""
    return f'<div class="beside">{bar(share)}<span>{escape(text)}</span></div>'


def bullet(low: float, mark: float, high: float, limit: float, said: str) -> str:
    """Return a bar from naught to twice a limit: the band between two bounds, a mark, the limit as an upright line.

    What of the band is above the limit is orange, all of it vermillion when even the lower bound is.
    """

    def at(each: float) -> float:
        return 100 * min(max(each / (2 * limit), 0.0), 1.0)

    def piece(begin: float, end: float, colour: str) -> str:
        return f"left:{begin:.1f}%;width:{end - begin:.1f}%;background:{colour}"

    if low > limit:
        parts = [piece(min(at(low), 94), at(high), VERMILLION)]
    else:
        parts = [piece(at(low), min(at(high), 50), blue()), piece(50, max(at(high), 50), ORANGE)]
    parts += [f"left:clamp(0px, calc({at(mark):.1f}% - 2px), calc(100% - 4px));width:4px;background:currentColor"]
    return f'<div class="bar" role="img" aria-label="{escape(said)}">{_pieces(parts)}{LIMIT}</div>'


def _pieces(styles: Iterable[str]) -> str:
    return "".join(f'<i style="{style}"></i>' for style in styles)


def sparkline(values: Sequence[float], said: str, colour: str) -> str:
    """Return small bars of values from naught up, the last ones when there are many, and in words what they say."""
    shown = values[-BARS:]
    top = max(shown) or 1.0
    bars = "".join(f'<i style="height:{max(100 * each / top, 2):.0f}%"></i>' for each in shown)
    return f'<div class="spark" role="img" aria-label="{escape(said)}" style="color:{colour}">{bars}</div>'


def no_bullet() -> str:
    """Return the bar of a rate that nothing is known of: the limit alone."""
    return f'<div class="bar" aria-hidden="true">{LIMIT}</div>'


def blue() -> str:
    """Return the theme's blue."""
    return SKY if charts.is_dark() else BLUE
