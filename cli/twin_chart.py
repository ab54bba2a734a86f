"""The twin's answer as a drawing: bars of occupancy, with abandonment beside them, as text and as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dialer.twin.study import Summary

WIDTH = 30
COLOURS = ("#2563eb", "#d97706", "#059669", "#7c3aed", "#dc2626", "#475569")
LEFT, SCALE, ROW = 190, 6, 26


@dataclass(frozen=True, slots=True)
class Bar:
    """One simulated case."""

    agents: int
    policy: str
    summary: Summary


def text(bars: Sequence[Bar]) -> str:
    """Return bars of occupancy for a terminal."""
    wide = max(len(each.policy) for each in bars)
    lines = []
    for each in bars:
        full = round(each.summary.occupancy * WIDTH)
        shares = f"{each.summary.occupancy:6.1%}  abandoned {each.summary.abandonment:.2%}"
        lines.append(f"{each.agents:>5}  {each.policy:<{wide}} {'█' * full}{'·' * (WIDTH - full)} {shares}")
    return "\n".join(lines)


def svg(bars: Sequence[Bar], cap: float) -> str:
    """Return a picture: a bar of occupancy for each case with its 95 % interval; what breaks the cap is said in red."""
    policies = list(dict.fromkeys(each.policy for each in bars))
    height = ROW * len(bars) + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + 100 * SCALE + 170}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="20" font-size="15">Occupancy by agents and policy, 95 % intervals</text>',
    ]
    for percent in range(0, 101, 20):
        x = LEFT + percent * SCALE
        parts.append(f'<line x1="{x}" y1="34" x2="{x}" y2="{height - 26}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{x}" y="{height - 10}" text-anchor="middle" fill="#475569">{percent} %</text>')
    for row, each in enumerate(bars):
        parts += _bar(each, 40 + row * ROW, COLOURS[policies.index(each.policy) % len(COLOURS)], cap)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(bar: Bar, y: int, colour: str, cap: float) -> list[str]:
    told, middle = bar.summary, y + 9
    low, mean, high = (100 * SCALE * each for each in (told.occupancy_low, told.occupancy, told.occupancy_high))
    ink = "#dc2626" if told.abandonment > cap else "#0f172a"
    return [
        f'<text x="10" y="{y + 13}">{bar.agents} agents, {escape(bar.policy)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{mean:.1f}" height="18" fill="{colour}"/>',
        f'<line x1="{LEFT + low:.1f}" y1="{middle}" x2="{LEFT + high:.1f}" y2="{middle}" stroke="black"/>',
        f'<text x="{LEFT + 100 * SCALE + 10}" y="{y + 13}" fill="{ink}">{told.occupancy:.1%}, '
        f"abandoned {told.abandonment:.2%}</text>",
    ]
