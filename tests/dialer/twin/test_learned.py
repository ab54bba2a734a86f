"""Traffic learned from how calls went."""

import numpy as np
import pytest

from crm.dialling.history import History
from dialer.twin.laws import Observed
from dialer.twin.learned import TooLittleHistory, traffic_of
from dialer.twin.traffic import Traffic


def history(**more: object) -> History:
    plain: dict[str, object] = {
        "attempts": 1_000, "live": 200, "machines": 400, "failed": 80, "no_answers": 320,
        "tries_by_hour": {10: 500, 15: 500}, "live_by_hour": {10: 150, 15: 50},
        "live_ring": [8.0] * 200, "talk": [90.0] * 190, "wrap": [15.0] * 5,
    }  # fmt: skip
    return History(**(plain | more))  # type: ignore[arg-type]


class TestTrafficOf:
    def test_takes_shares_and_durations_as_they_were(self):
        traffic = traffic_of(history())

        assert traffic.answer_p == pytest.approx(0.2)
        assert (traffic.machine_share, traffic.failed_share) == pytest.approx((0.5, 0.1))
        assert traffic.live_ring == Observed((8.0,) * 200)

    def test_keeps_the_reference_where_little_was_seen(self):
        traffic = traffic_of(history())

        assert traffic.wrap == Traffic().wrap
        assert traffic.answer_swing == Traffic().answer_swing

    def test_hours_differ_as_far_as_was_seen(self):
        traffic = traffic_of(history(), first_hour=14, hours=3)

        unseen, afternoon, also_unseen = traffic.hours
        assert unseen == also_unseen == pytest.approx(1.0)
        assert afternoon == pytest.approx((50 + 50 * 0.2) / 550 / 0.2)

    @pytest.mark.parametrize("more", [{"attempts": 90}, {"live": 19}])
    def test_refuses_to_guess_from_little(self, more: dict[str, int]):
        with pytest.raises(TooLittleHistory):
            traffic_of(history(**more))

    def test_finds_the_bursts_it_is_given(self):
        rng = np.random.default_rng(5)
        rates = 0.2 * np.exp(rng.normal(-0.08, 0.4, 400))
        blocks = {n: (50, int(rng.binomial(50, min(1.0, rate)))) for n, rate in enumerate(rates)}

        assert traffic_of(history(blocks=blocks)).answer_swing.burst == pytest.approx(0.4, abs=0.08)

    def test_finds_no_bursts_in_chance(self):
        rng = np.random.default_rng(5)
        blocks = {n: (50, int(rng.binomial(50, 0.2))) for n in range(400)}

        assert traffic_of(history(blocks=blocks)).answer_swing.burst < 0.12

    def test_scores_spread_as_they_did(self):
        scores = np.random.default_rng(5).beta(0.6, 2.4, 20_000).tolist()

        assert traffic_of(history(scores=scores)).scores == pytest.approx(3.0, rel=0.1)
        assert traffic_of(history(scores=[0.2] * 500)).scores is None

    def test_nobody_is_more_patient_than_the_law(self):
        traffic = traffic_of(history(patience=[0.5] * 30 + [9.0] * 30))

        assert max(traffic.patience.draw(np.random.default_rng(1), 100)) == 2.0
