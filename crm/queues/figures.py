"""The figures of queues: counts and sums that add up, and the ratios made of them. No database, no clock.

Each call's stay counts once, where it began, for its queue, by the thresholds of that instant. Stays outside opening
hours are counted apart (`offered_ooh`) and are in no other figure; nor are those that nobody decided (`system`). A
caller who accepts a callback has neither been answered nor given up. Ratios are None where there is nothing to divide
by; 0 is a measured zero. The names of formulas are the industry's: ICMI's ways of computing a service level.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What adds up over days and queues; seconds are sums.

    `in_sl`: answered within the service level's seconds. `short_abandons`: gave up within the seconds of a mistake.
    `abandoned_in_sl`: gave up within the service level's seconds, short ones included.
    """

    offered: int = 0
    offered_ooh: int = 0
    answered: int = 0
    in_sl: int = 0
    abandoned: int = 0
    short_abandons: int = 0
    abandoned_in_sl: int = 0
    overflow: int = 0
    timeout: int = 0
    callback: int = 0
    answered_wait_s: float = 0.0
    abandoned_wait_s: float = 0.0
    """The waits of those who gave up, short ones left out."""
    talk_s: float = 0.0
    """The service of those answered; one that is not known counts as none."""

    @property
    def judged(self) -> int:
        """How many stays the service level is about."""
        return self.answered + self.abandoned - self.short_abandons + self.overflow + self.timeout

    @property
    def service_level(self) -> float | None:
        """In time of all who were to be answered: callbacks and short abandons left out, sent on counts as missed."""
        return _ratio(self.in_sl, self.judged)

    @property
    def service_level_strict(self) -> float | None:
        """The same with short abandons counted as missed (ICMI's third way)."""
        return _ratio(self.in_sl, self.judged + self.short_abandons)

    @property
    def service_level_credit(self) -> float | None:
        """Who gives up in time counts as answered in time (ICMI's first way, Asterisk's ServicelevelPerf2)."""
        return _ratio(self.in_sl + self.abandoned_in_sl, self.answered + self.abandoned)

    @property
    def service_level_answered(self) -> float | None:
        """Of those answered alone (ICMI's second way, Asterisk's ServicelevelPerf); it hides abandons."""
        return _ratio(self.in_sl, self.answered)

    @property
    def service_level_ignore_sl_abandons(self) -> float | None:
        """Who gives up in time is left out (ICMI's fourth way)."""
        return _ratio(self.in_sl, self.answered + self.abandoned - self.abandoned_in_sl)

    @property
    def asa_s(self) -> float | None:
        """Average speed of answer: the mean wait of those answered, ringing included."""
        return _ratio(self.answered_wait_s, self.answered)

    @property
    def abandonment_rate(self) -> float | None:
        """Gave up, of all offered; short abandons left out of both."""
        return _ratio(self.abandoned - self.short_abandons, self.offered - self.short_abandons)

    @property
    def abandonment_rate_gross(self) -> float | None:
        """Gave up, of all offered."""
        return _ratio(self.abandoned, self.offered)

    @property
    def avg_abandon_wait_s(self) -> float | None:
        """The mean wait of those who gave up, short ones left out."""
        return _ratio(self.abandoned_wait_s, self.abandoned - self.short_abandons)

    @property
    def callback_share(self) -> float | None:
        """Who chose to be called back, of all offered."""
        return _ratio(self.callback, self.offered)

    @property
    def mean_service_s(self) -> float | None:
        """The mean service of those answered; one of no seconds counts."""
        return _ratio(self.talk_s, self.answered)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
