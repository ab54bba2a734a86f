from datetime import UTC, datetime, timedelta

import pytest

from crm.calls.facts import LegRinging
from dialer.figures import Figures

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def heard(*lags_s: float) -> Figures:
    figures = Figures()
    figures.note([LegRinging(call_id="c", leg_id="c", at=NOON - timedelta(seconds=lag)) for lag in lags_s], now=NOON)
    return figures


class TestFigures:
    def test_tell_the_longest_lag_since_the_last_report(self):
        figures = heard(0.1, 3.0)
        figures.failed["leg.gone"] += 1

        reports = [figures.report(), figures.report()]

        assert reports == [
            {"heard": 2, "asks_failed": {"leg.gone": 1}, "lag_s": 3.0},
            {"heard": 2, "asks_failed": {"leg.gone": 1}, "lag_s": None},
        ]

    @pytest.mark.parametrize(
        ("lags", "off"), [((0.1, 60.0), None), ((300.0, 301.0), 300.0), ((-299.0, -300.0), -300.0), ((), None)]
    )
    def test_tell_a_clock_that_is_wrong_from_a_fact_that_came_late(self, lags, off):
        assert heard(*lags).clock_off_s == off
