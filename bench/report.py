"""How a figure is printed."""

import statistics
from collections.abc import Sequence


def median_of(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share (0 to 1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def figure(name: str, values: Sequence[float], target: float, *, at_least: bool) -> None:
    """Print one figure: the median of the rounds, its spread, the target and whether it holds."""
    middle = statistics.median(values)
    holds = middle >= target if at_least else middle <= target
    sign = ">=" if at_least else "<="
    spread = f"[{min(values):.2f} … {max(values):.2f}, {len(values)} rounds]"
    print(f"{name:<44} {middle:8.2f}  {sign} {target:<7g} {'holds' if holds else 'short'}  {spread}", flush=True)


def remark(text: str) -> None:
    """Print a line of context: workers, connections, sizes, absolute rates."""
    print(f"  · {text}", flush=True)
