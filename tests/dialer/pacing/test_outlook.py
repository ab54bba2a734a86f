"""What is ahead of ringing calls and busy agents."""

import numpy as np
import pytest

from dialer.pacing.budget import Tuning
from dialer.pacing.learned import Durations, lognormal, uniform
from dialer.pacing.outlook import AHEAD, HALF, RING_BINS, Outlook, busy_talking, busy_wrapping, hazard, resolution
from tests.dialer.pacing.moments import moment

HALVES = np.arange(HALF * (RING_BINS + AHEAD[-1] + 1)) / HALF
LIVE, OTHER = lognormal(12.0, 0.5)(HALVES), uniform(0.0, 34.0)(HALVES)


class TestResolution:
    def test_a_young_call_is_answered_at_last_with_its_probability(self):
        odds = resolution(LIVE, OTHER, 0.3)

        assert odds[0, -1] == pytest.approx(0.3, abs=0.02)
        assert (np.diff(odds[0]) >= 0).all()

    def test_a_call_that_rings_long_is_hardly_answered_any_more(self):
        odds = resolution(LIVE, np.ones_like(OTHER), 0.3)

        assert odds[40, -1] < 0.01 < odds[10, -1]

    def test_a_call_of_the_usual_age_of_answers_is_likelier_than_a_young_one(self):
        other = np.where(HALVES < 8, 1.0, 0.2)  # four of five failures are over after eight seconds

        odds = resolution(LIVE, other, 0.3)

        assert odds[9, 0] > 2 * odds[0, 0]


class TestHazard:
    def test_adds_up_to_the_answers_of_many_calls(self):
        p, alive, answered = 0.3, 1.0, 0.0
        for age in range(RING_BINS):
            answered += alive * hazard(LIVE, OTHER, p)[age]
            at = HALF * age + 1
            alive = p * LIVE[at + HALF] + (1 - p) * OTHER[at + HALF]

        assert answered == pytest.approx(p, abs=0.02)


class TestBusy:
    talk = Durations(np.append(0.0, np.geomspace(4.0, 7200.0, 40)), lognormal(120.0, 1.0), 25)
    wrap = Durations(np.arange(0.0, 3600.0, 2.0), lognormal(20.0, 0.4), 25)

    def test_who_wraps_up_longer_is_back_sooner(self):
        busy = busy_wrapping(self.wrap, 0.0)

        assert busy[25, 3] < busy[5, 3] < busy[0, 3]

    def test_who_talks_is_back_only_after_the_wrap_up(self):
        busy = busy_talking(self.talk, self.wrap, 0.0)

        assert (busy[:, 1] > 0.97).all()
        assert (np.diff(busy, axis=1) <= 1e-9).all()

    def test_who_may_take_a_break_is_likelier_away(self):
        assert (busy_wrapping(self.wrap, 0.5) >= (busy_wrapping(self.wrap, 0.0) + 1) / 2 - 1e-9).all()


class TestOneMore:
    @pytest.mark.parametrize("agents", [10, 40])
    def test_risk_rises_and_benefit_falls_with_what_rings(self, agents: int):
        outlook = Outlook(Tuning())
        outlook.refresh(moment(ready=agents), agents)
        fresh = outlook.fresh(np.array([60]))[0]

        told = [outlook.one_more(count * fresh, 0 * fresh, agents) for count in (0, agents, 2 * agents)]

        risks, benefits = zip(*told, strict=True)
        assert risks[0] < 1e-3
        assert risks[0] < risks[1] < risks[2]
        assert benefits[0] > benefits[1] > benefits[2]
