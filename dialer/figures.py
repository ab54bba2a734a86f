"""How a bridge stands, in figures for its log: what it heard, how late, and what came to nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from crm.calls.facts import Fact

OFF_S = 2.0
"""Seconds of difference at which it is the clock: no fact of a minute was told sooner after it happened, or all before
it happened."""


class Figures:
    """Counts since the start, and the shortest and the longest lag (seconds) since the last report."""

    def __init__(self) -> None:
        self.heard = 0
        self.failed: Counter[str] = Counter()
        """Asks that came to nothing, by code."""
        self._shortest: float | None = None
        self._longest: float | None = None

    def note(self, facts: Iterable[Fact], *, now: datetime) -> None:
        """Take note of facts that are stored now; their lag is told by both clocks, the exchange's and ours."""
        lags = [(now - fact.at).total_seconds() for fact in facts]
        if lags:
            self.heard += len(lags)
            self._shortest = min(lags if self._shortest is None else [*lags, self._shortest])
            self._longest = max(lags if self._longest is None else [*lags, self._longest])

    @property
    def clock_off_s(self) -> float | None:
        """By how many seconds the exchange's clock seems to be behind ours (negative: ahead), when it is by much."""
        is_off = self._shortest is not None and abs(self._shortest) > OFF_S
        return self._shortest if is_off else None

    def report(self) -> Mapping[str, Any]:
        """Return the figures, and begin with new lags."""
        told = {"heard": self.heard, "asks_failed": dict(self.failed), "lag_s": self._longest}
        self._shortest = self._longest = None
        return told
