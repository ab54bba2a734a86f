"""The machine of an agent's states: whose step is which, and what waits until a call is over."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.agents import rules
from crm.agents.rules import BUSY, By, Pending, Standing, State

NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)
BREAK = Pending(State.paused, "break")
SILENT = timedelta(seconds=30)

STATES = st.sampled_from(State)
STANDINGS = st.builds(
    Standing,
    state=st.sampled_from([each for each in State if each is not State.offline]),
    reason=st.none() | st.just("break"),
    call_id=st.sampled_from([None, A, B]),
    until=st.none() | st.integers(-90, 90).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    pending=st.none() | st.sampled_from([BREAK, Pending(State.offline, "shift_over")]),
    missed=st.integers(0, 5),
)


def after(held: Standing, *steps: tuple[By, State, UUID | None]) -> Standing:
    """Return how an agent stands after possible steps."""
    for by, to, call_id in steps:
        new = rules.step(held, to, by=by, call_id=call_id)
        assert new is not None, (held, by, to)
        held = new
    return held


class TestStep:
    @pytest.mark.parametrize("busy", sorted(BUSY))
    @given(STATES)
    def test_lets_no_person_end_a_call(self, busy: State, to: State) -> None:
        assert rules.step(Standing(busy, call_id=A), to, by=By.person) is None or to is busy

    @given(STANDINGS, STATES, st.sampled_from([By.calls, By.system]))
    def test_lets_nobody_but_a_person_begin_a_session(self, held: Standing, to: State, by: By) -> None:
        assert rules.step(rules.OFFLINE, to, by=by) is None

    @given(STATES)
    def test_lets_only_calls_end_a_conversation(self, to: State) -> None:
        talking = Standing(State.on_call, call_id=A)

        assert rules.step(talking, to, by=By.system, call_id=A) is None or to is State.on_call

    @given(STANDINGS, STATES, st.sampled_from(By), st.sampled_from([None, A, B]))
    def test_comes_to_the_state_asked_for_or_to_the_one_wished_for(
        self, held: Standing, to: State, by: By, call_id: UUID | None
    ) -> None:
        new = rules.step(held, to, by=by, call_id=call_id)

        wished = held.pending.to if held.pending and to is State.available else to
        assert new is None or new.state in (to, wished)

    @given(STANDINGS, STATES, st.sampled_from(By), st.sampled_from([None, A, B]))
    def test_changes_nothing_when_repeated(self, held: Standing, to: State, by: By, call_id: UUID | None) -> None:
        new = rules.step(held, to, by=by, call_id=call_id)

        again = new and rules.step(new, to, by=by, call_id=call_id)
        assert again is None or new.state is not to, "a wish came true instead"

    def test_knows_the_end_of_an_earlier_call(self) -> None:
        second = Standing(State.on_call, call_id=B)

        assert rules.step(second, State.wrap_up, by=By.calls, call_id=A) is None
        assert rules.step(second, State.available, by=By.calls, call_id=A) is None

    def test_makes_a_wish_true_when_the_call_is_over(self) -> None:
        talking = rules.wish(Standing(State.on_call, call_id=A), BREAK)
        assert talking is not None

        writing = after(talking, (By.calls, State.wrap_up, A))
        free = after(writing, (By.system, State.available, None))

        assert (writing.state, free) == (State.wrap_up, Standing(State.paused, "break"))

    def test_leads_back_to_the_pause_from_a_call_of_ones_own(self) -> None:
        paused = Standing(State.paused, "lunch")

        back = after(
            paused, (By.calls, State.reserved, A), (By.calls, State.on_call, A), (By.calls, State.available, A)
        )

        assert back == paused

    def test_lets_somebody_change_their_mind_in_the_wrap_up(self) -> None:
        writing = Standing(State.wrap_up, call_id=A, pending=BREAK)

        assert after(writing, (By.person, State.available, None)) == Standing(State.available)

    def test_counts_missed_calls_anew_after_a_conversation(self) -> None:
        rung = Standing(State.ringing, call_id=A, missed=2)

        assert after(rung, (By.calls, State.on_call, A)).missed == 0
        assert after(rung, (By.calls, State.available, A)).missed == 2


class TestMiss:
    def test_pauses_after_as_many_as_the_firm_bears(self) -> None:
        held = Standing(State.ringing, call_id=A, missed=2)

        assert rules.miss(held, A, at_most=3) == Standing(State.paused, rules.MISSED)
        assert rules.miss(held, A, at_most=4) == Standing(State.available, missed=3)
        assert rules.miss(held, A, at_most=0) == Standing(State.available, missed=3)

    def test_is_of_what_rings_here_only(self) -> None:
        assert rules.miss(Standing(State.ringing, call_id=A), B, at_most=1) is None
        assert rules.miss(Standing(State.available), A, at_most=1) is None
        assert rules.miss(Standing(State.on_call, call_id=A), A, at_most=1) is None

    def test_signs_off_who_was_to_be_signed_off(self) -> None:
        held = Standing(State.ringing, call_id=A, pending=Pending(State.offline, "shift_over"))

        assert rules.miss(held, A, at_most=1) == Standing(State.offline, "shift_over")


class TestNextChange:
    @given(STANDINGS)
    def test_leaves_a_conversation_alone(self, held: Standing) -> None:
        coming = rules.next_change(held, last_beat_at=NOW, silent_after=SILENT)

        assert coming is not None or held.state is State.on_call

    @given(STANDINGS, st.integers(10, 55))
    def test_comes_to_the_end_of_the_session_in_a_few_steps(self, held: Standing, silent_s: int) -> None:
        at, seen = NOW - timedelta(days=1), 0
        while held.state not in (State.offline, State.on_call):
            coming = rules.next_change(held, last_beat_at=NOW, silent_after=timedelta(seconds=silent_s))
            assert coming is not None
            at, held = max(at, coming[0]), coming[1]
            seen += 1
        assert seen <= 4
        assert held.state is State.on_call or at <= NOW + rules.LOST_AFTER

    def test_is_silence_then_the_end(self) -> None:
        free = Standing(State.available)

        silent = rules.next_change(free, last_beat_at=NOW, silent_after=SILENT)
        assert silent is not None
        lost = rules.next_change(silent[1], last_beat_at=NOW, silent_after=SILENT)

        assert silent == (NOW + SILENT, Standing(State.not_responding))
        assert lost == (NOW + timedelta(seconds=60), Standing(State.offline, rules.LOST))


class TestAfterSilence:
    def test_is_where_one_was(self) -> None:
        silent, later = Standing(State.not_responding), NOW + SILENT
        writing = Standing(State.wrap_up, call_id=A, until=later)

        assert rules.after_silence(silent, Standing(State.paused, "lunch"), now=NOW) == Standing(State.paused, "lunch")
        assert rules.after_silence(silent, writing, now=NOW) == writing
        assert rules.after_silence(silent, writing, now=later) == Standing(State.available)

    def test_makes_a_wish_true_that_the_wrap_up_kept(self) -> None:
        silent = Standing(State.not_responding, pending=BREAK)

        back = rules.after_silence(silent, Standing(State.wrap_up, call_id=A, until=NOW), now=NOW)

        assert back == Standing(State.paused, "break")
