"""What many shifts come to."""

import pytest

from dialer.pacing import Predictive
from dialer.twin import study
from dialer.twin.baselines import AdaptAverage, Power
from dialer.twin.shift import Tally
from dialer.twin.study import Job, UnknownPolicy, interval, summary
from dialer.twin.traffic import Traffic


def tally(answered: int = 100, abandoned: int = 2, ready: float = 200.0) -> Tally:
    connected = answered - abandoned
    return Tally(400, answered, connected, abandoned, 100, 150, 40, 10, 0, (0.0, ready, 700.0, 100.0), 49.0, 1, 0.0)


class TestPolicyOf:
    def test_knows_policies_by_name_and_number(self):
        power, adapt = study.policy_of("power:1.8", 10, 0.03), study.policy_of("adapt-available:4", 10, 0.03)

        assert isinstance(power, Power)
        assert isinstance(adapt, AdaptAverage)
        assert (power.ratio, adapt.highest, adapt.is_available_only) == (1.8, 4.0, True)
        assert isinstance(study.policy_of("predictive", 10, 0.03), Predictive)

    @pytest.mark.parametrize("name", ["", "clever", "power:much", "power:-1", "power:nan", "progressive:2"])
    def test_refuses_what_it_does_not_know(self, name: str):
        with pytest.raises(UnknownPolicy):
            study.policy_of(name, 10, 0.03)


class TestSummary:
    def test_adds_up(self):
        came = summary([tally(), tally(abandoned=4, ready=0.0)], 0.03)

        assert came.occupancy == pytest.approx((0.8 + 1.0) / 2)
        assert came.abandonment == pytest.approx(6 / 200)
        assert came.legal == 0.5
        assert came.caller_wait_s == pytest.approx(98 / 194)
        assert came.agent_wait_s == pytest.approx(200 / 194)
        assert came.calls_per_answer == pytest.approx(4.0)
        assert came.abandonment_low == pytest.approx(0.02)
        assert came.abandonment_high == pytest.approx(0.04)

    def test_thirty_days_break_the_cap_never_or_surely(self):
        assert summary([tally(abandoned=2)] * 5, 0.03).p_break_30d == 0.0
        assert summary([tally(abandoned=4)] * 5, 0.03).p_break_30d == 1.0

    def test_thirty_days_average_out(self):
        came = summary([tally(abandoned=2)] * 90 + [tally(abandoned=8)] * 10, 0.03)

        # 22 shifts with a mean of 2.6 % and a deviation of 1.8 % / √22: about one time in seven
        assert 0.1 < came.p_break_30d < 0.25

    def test_shifts_without_answers_are_no_division_by_nothing(self):
        assert summary([tally(answered=0, abandoned=0)] * 2, 0.03).abandonment == 0.0


class TestInterval:
    def test_is_students(self):
        low, mean, high = interval([1.0, 2.0, 3.0, 4.0, 5.0])

        # t(4) = 2.776, s = 1.5811
        assert mean == 3.0
        assert high - mean == pytest.approx(2.776 * 1.5811 / 5**0.5, rel=0.01)
        assert mean - low == pytest.approx(high - mean)


class TestRun:
    def test_several_processors_give_what_one_gives(self):
        jobs = [Job("progressive", Traffic(0.3), 4, seed, 600.0) for seed in range(4)]

        assert list(study.run(jobs, workers=2)) == list(study.run(jobs))
