"""Simulated shifts: cases known by hand, what is conserved, and closed forms of queueing theory."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.pacing.state import PAUSE, READY, TALK, WRAP, State
from dialer.twin.baselines import Power, Progressive
from dialer.twin.laws import Always, Exponential, LogNormal
from dialer.twin.shift import Shift, Tally
from dialer.twin.traffic import STEADY, Swing, Traffic, flat

CLOCKWORK = Traffic(
    1.0, live_ring=Always(10.0), talk=Always(60.0), wrap=Always(20.0), break_share=0.0, answer_swing=STEADY,
    talk_swing=STEADY,
)  # fmt: skip


def clockwork(**changes: object) -> Traffic:
    return replace(CLOCKWORK, **changes)  # type: ignore[arg-type]


class Once:
    """Launches so many calls at the beginning."""

    def __init__(self, count: int) -> None:
        self.left = count

    def decide(self, state: State) -> int:
        count, self.left = self.left, 0
        return count


class Blind:
    """Launches calls as a Poisson process, whatever the state."""

    only_ticks = True

    def __init__(self, rate: float, seed: int) -> None:
        self.numbers = iter(np.random.default_rng(seed).poisson(rate, 100_000).tolist())

    def decide(self, state: State) -> int:
        return next(self.numbers)


class TestRun:
    def test_one_agent_and_clockwork_traffic(self):
        tally = Shift(Progressive(), CLOCKWORK, agents=1, seconds=900.0).run()

        # ten rounds of 10 s of ringing, 60 s of talk, 20 s of wrap-up
        assert (tally.launched, tally.answered, tally.connected, tally.abandoned) == (10, 10, 10, 0)
        assert tally.seconds == pytest.approx((0.0, 100.0, 600.0, 200.0))
        assert tally.occupancy == pytest.approx(800 / 900)

    def test_who_finds_no_agent_is_abandoned_when_patience_ends(self):
        tally = Shift(Once(3), CLOCKWORK, agents=1, seconds=100.0).run()

        assert (tally.answered, tally.connected, tally.abandoned) == (3, 1, 2)
        assert tally.abandonment == pytest.approx(2 / 3)

    def test_the_patient_wait_their_turn(self):
        patient = clockwork(patience=Always(1_000.0))

        tally = Shift(Once(3), patient, agents=1, seconds=400.0).run()

        # the second waits for one conversation and wrap-up, the third for two
        assert (tally.connected, tally.abandoned) == (3, 0)
        assert tally.waited_s == pytest.approx(80 + 160)

    def test_nobody_answers_where_nobody_can(self):
        nobody = clockwork(answer_p=0.0, machine_share=1.0, machine_ring=Always(15.0))

        tally = Shift(Power(2.0), nobody, agents=2, seconds=30.5).run()

        assert (tally.machines, tally.answered, tally.ringing) == (8, 0, 4)

    def test_breaks_follow_wrap_ups(self):
        tired = clockwork(break_share=1.0, break_s=Always(110.0))

        tally = Shift(Progressive(), tired, agents=1, seconds=600.0).run()

        assert tally.seconds == pytest.approx((330.0, 30.0, 180.0, 60.0))

    def test_no_more_calls_than_lines(self):
        tally = Shift(Power(10.0), CLOCKWORK, agents=5, seconds=9.0, lines=7).run()

        assert (tally.launched, tally.ringing) == (7, 7)

    @settings(max_examples=25)
    @given(st.integers(1, 12), st.integers(0, 1_000), st.floats(0.5, 4.0), st.floats(0.05, 0.9))
    def test_loses_no_call_and_no_second(self, agents: int, seed: int, ratio: float, p: float):
        tally = Shift(Power(ratio), Traffic(p), agents=agents, seconds=1_800.0, seed=seed).run()

        ended = tally.answered + tally.machines + tally.no_answers + tally.failed
        assert tally.launched == ended + tally.ringing
        assert tally.answered == tally.connected + tally.abandoned + tally.queued
        assert sum(tally.seconds) == pytest.approx(agents * 1_800.0)

    def test_the_state_always_agrees_with_itself(self):
        class Auditor(Power):
            def decide(self, state: State) -> int:
                doing = [list(state.agent_state).count(each) for each in (PAUSE, READY, TALK, WRAP)]
                assert doing == [state.n_pause, state.n_ready, state.n_talk, state.n_wrap]
                assert len(state.ringing) == state.n_ringing
                assert list(state.ringing.values()) == sorted(state.ringing.values())
                assert state.n_queue == 0 or state.n_ready == 0
                assert all(since <= state.t for since in state.agent_since)
                return super().decide(state)

        tally = Shift(Auditor(3.0), Traffic(0.3), agents=6, seconds=3_600.0, seed=3).run()

        assert tally.abandoned > 0

    def test_tells_each_event_once(self):
        class Listener(Power):
            def __init__(self) -> None:
                super().__init__(2.0)
                self.told: dict[str, int] = {}

            def on_event(self, kind: str, t: float, value: float) -> None:
                self.told[kind] = self.told.get(kind, 0) + 1

        listener = Listener()
        tally = Shift(listener, Traffic(0.3), agents=6, seconds=3_600.0, seed=3).run()

        told = listener.told
        assert (told["live"], told["machine"], told["no_answer"], told["failed"]) == (
            tally.answered, tally.machines, tally.no_answers, tally.failed,
        )  # fmt: skip
        assert (told["connect"], told["abandon"]) == (tally.connected, tally.abandoned)


def blind(agents: int, load: float, patience: float, seed: int) -> Tally:
    """Simulate blind dialling with so many erlangs offered: exponential times, nobody but live people."""
    traffic = clockwork(
        live_ring=Exponential(15.0), talk=Exponential(100.0), wrap=Always(0.0), patience=Always(patience)
    )
    return Shift(Blind(load / 100.0, seed), traffic, agents=agents, seconds=40_000.0, seed=seed, lines=10_000).run()


class TestClosedForms:
    def test_loss_is_erlangs(self):
        agents, load = 8, 7.0
        tallies = [blind(agents, load, 0.0, seed) for seed in range(6)]

        lost = sum(each.abandoned for each in tallies) / sum(each.answered for each in tallies)
        terms = [load**n / math.factorial(n) for n in range(agents + 1)]
        assert lost == pytest.approx(terms[-1] / sum(terms), abs=0.012)

    def test_waiting_is_erlangs(self):
        agents, load, mean = 8, 6.0, 100.0
        tallies = [blind(agents, load, 1e9, seed) for seed in range(8)]

        waited = sum(each.waited_s for each in tallies) / sum(each.connected for each in tallies)
        full = load**agents / math.factorial(agents) * agents / (agents - load)
        waits = full / (sum(load**n / math.factorial(n) for n in range(agents)) + full)
        assert waited == pytest.approx(waits * mean / (agents - load), rel=0.15)


class TestTraffic:
    def test_durations_have_their_means(self):
        rng = np.random.default_rng(1)

        assert LogNormal(120.0, 1.0).draw(rng, 200_000).mean() == pytest.approx(120.0, rel=0.02)
        assert LogNormal(12.0, 0.5, 25.0).draw(rng, 10_000).max() <= 25.0

    def test_swings_have_the_mean_one(self):
        rng = np.random.default_rng(1)
        paths = np.concatenate([Swing(wave=0.2, burst=0.33).path(rng, 14_400.0) for _ in range(300)])

        assert paths.mean() == pytest.approx(1.0, abs=0.02)
        assert paths.std() > 0.3

    def test_flat_traffic_does_not_move(self):
        assert set(flat(0.3).answer_path(np.random.default_rng(1), 3_600.0)) == {1.0}

    def test_hours_differ(self):
        path = Traffic(0.3, hours=(1.0, 0.5), answer_swing=STEADY).answer_path(np.random.default_rng(1), 10_800.0)

        assert (path[100], path[500], path[1_000]) == (1.0, 0.5, 0.5)

    def test_scores_have_the_common_mean(self):
        spread = Traffic(0.3, scores=3.0).spread(np.random.default_rng(1), 100_000)

        assert spread.mean() == pytest.approx(0.3, abs=0.01)
        assert spread.var() == pytest.approx(0.3 * 0.7 / 4, rel=0.03)
