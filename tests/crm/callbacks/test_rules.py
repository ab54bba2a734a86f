"""What follows a call, a no, and whose turn it is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.callbacks import rules
from crm.callbacks.rules import FOLLOWS, OPEN, Line, Next, Retries, Status
from crm.calls.story import Outcome
from crm.consent.rules import Reason

NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def after(outcome: str, *, attempts: int = 1, reached: bool = False, left: timedelta = HOUR) -> Next:
    """Return what follows a call that ended now."""
    return rules.after_call(
        outcome, was_reached=reached, attempts=attempts, retries=Retries(), ended_at=NOW, expires_at=NOW + left
    )


class TestAfterCall:
    @pytest.mark.parametrize(
        ("outcome", "attempts", "then"),
        [
            ("busy", 1, Next(Status.scheduled, NOW + 5 * MINUTE, "busy")),
            ("no_answer", 2, Next(Status.scheduled, NOW + 30 * MINUTE, "no_answer")),
            ("no_answer", 3, Next(Status.failed, None, "no_answer")),
            ("invalid", 1, Next(Status.failed, None, "invalid")),
            ("agent_no_answer", 3, Next(Status.scheduled, NOW + 5 * MINUTE, "agent_no_answer")),
            ("untried", 3, Next(Status.scheduled, NOW + 5 * MINUTE, "untried")),
        ],
    )
    def test_tries_again_after_a_pause_until_it_is_enough(self, outcome: str, attempts: int, then: Next) -> None:
        assert after(outcome, attempts=attempts) == then

    def test_is_complete_when_the_customer_was_reached(self) -> None:
        assert after("answered", attempts=9, reached=True) == Next(Status.completed, reason="reached")

    def test_gives_up_when_the_next_time_would_be_too_late(self) -> None:
        assert after("no_answer", left=30 * MINUTE) == Next(Status.expired, None, "no_answer")

    @given(
        outcome=st.sampled_from([each.value for each in Outcome]), attempts=st.integers(1, 12), reached=st.booleans(),
        left=st.timedeltas(timedelta(minutes=-5), timedelta(days=2)),
    )  # fmt: skip
    def test_always_leads_where_a_call_may_lead(
        self, outcome: str, attempts: int, reached: bool, left: timedelta
    ) -> None:  # fmt: skip
        then = after(outcome, attempts=attempts, reached=reached, left=left)

        assert then.status in FOLLOWS[Status.attempted]
        assert then.reason is not None
        assert (then.due_at is not None) == (then.status is Status.scheduled)
        assert then.due_at is None or NOW < then.due_at < NOW + left


class TestAfterDenial:
    @given(st.sampled_from(list(Reason)), st.none() | st.timedeltas(timedelta(0), timedelta(days=3)))
    def test_waits_only_where_waiting_helps_in_time(self, reason: Reason, wait: timedelta | None) -> None:
        then = rules.after_denial(
            reason, not_before=None if wait is None else NOW + wait, expires_at=NOW + timedelta(days=1)
        )

        helps = wait is not None and reason in (Reason.outside_hours, Reason.cooling_off, Reason.frequency_cap)
        assert then.reason == f"consent.{reason.value}"
        if not helps:
            assert then.status is Status.failed
        elif wait is not None and wait >= timedelta(days=1):
            assert then.status is Status.expired
        else:
            assert (then.status, then.due_at) == (Status.scheduled, NOW + (wait or timedelta(0)))


class TestIsNext:
    @pytest.mark.parametrize(
        ("line", "is_next"),
        [
            (Line(signed_on=2, free=1), True),
            (Line(signed_on=0, free=0), False),
            (Line(signed_on=2, free=0), False),
            (Line(signed_on=2, free=1, ahead=1, waiting=1), False),
            (Line(signed_on=2, free=1, on_the_way=1), False),
            (Line(signed_on=2, free=2, on_the_way=1), True),
            (Line(signed_on=2, free=0, waiting=3), True),
            (Line(signed_on=2, free=0, waiting=3, on_the_way=1), False),
        ],
    )
    def test_waits_for_those_ahead_and_for_an_agent(self, line: Line, is_next: bool) -> None:
        assert rules.is_next(line) is is_next

    @given(st.builds(Line, *[st.integers(0, 5)] * 5))
    def test_is_nobodys_turn_while_somebody_waits_who_came_before(self, line: Line) -> None:
        assert not (rules.is_next(line) and line.ahead)

    @given(st.integers(0, 10), st.integers(0, 10))
    def test_calls_no_more_people_than_agents_are_free(self, free: int, on_the_way: int) -> None:
        while rules.is_next(Line(free=free, on_the_way=on_the_way, signed_on=10)):
            on_the_way += 1
            assert on_the_way <= free


class TestFollows:
    def test_leads_out_of_every_open_state_and_out_of_no_other(self) -> None:
        assert {status for status, after in FOLLOWS.items() if after} == OPEN

    def test_lets_nobody_cancel_a_call_that_goes_on(self) -> None:
        assert Status.cancelled not in FOLLOWS[Status.attempted]


@pytest.mark.parametrize(
    ("reached", "now", "kept"),
    [(NOW, NOW, True), (NOW + HOUR, NOW + HOUR, False), (None, NOW, None), (None, NOW + HOUR, False)],
)
def test_a_promise_is_kept_by_reaching_the_customer_in_time(
    reached: datetime | None, now: datetime, kept: bool | None
) -> None:
    assert rules.was_kept(reached_at=reached, promised_until=NOW + MINUTE, now=now) is kept
