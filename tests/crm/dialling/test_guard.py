"""The guard against the exact distribution, and what its budget promises."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.dialling import guard
from crm.dialling.guard import Allowed, Count, Window

CAP = 0.03


def tail(answered: int, abandoned: int, rate: float) -> float:
    """Return the chance of so few abandonments or fewer, term by term."""
    return sum(comb(answered, k) * rate**k * (1 - rate) ** (answered - k) for k in range(abandoned + 1))


counts = st.integers(1, 400).flatmap(lambda n: st.builds(Count, st.just(n), st.integers(0, n)))


class TestUpper:
    @given(count=counts, confidence=st.sampled_from([0.5, 0.9, 0.95]))
    def test_is_the_rate_under_which_so_few_are_just_as_unlikely_as_said(self, count: Count, confidence: float):
        found = guard.upper(count, confidence)

        if count.abandoned == count.answered:
            assert found == 1
        else:
            assert tail(count.answered, count.abandoned, found) == pytest.approx(1 - confidence, abs=1e-9)

    def test_without_abandonments_is_the_known_closed_form(self):
        assert guard.upper(Count(100, 0), 0.95) == pytest.approx(1 - 0.05 ** (1 / 100))

    def test_knows_nothing_without_answers(self):
        assert guard.upper(Count(), 0.95) == 1


class TestLower:
    @given(count=counts)
    def test_is_the_rate_under_which_so_many_are_just_as_unlikely_as_said(self, count: Count):
        found = guard.lower(count, 0.95)

        if count.abandoned == 0:
            assert found == 0
        else:
            assert 1 - tail(count.answered, count.abandoned - 1, found) == pytest.approx(0.05, abs=1e-9)


class TestAffordable:
    @given(count=counts, confidence=st.sampled_from([0.5, 0.95]))
    def test_is_the_largest_number_whose_bound_keeps_the_cap(self, count: Count, confidence: float):
        more = guard.affordable(count, CAP, confidence)

        at, beyond = (guard.upper(Count(count.answered + n, count.abandoned + n), confidence) for n in (more, more + 1))
        assert beyond > CAP
        assert more == 0 or at <= CAP + 1e-12

    def test_grows_with_answers(self):
        budgets = [guard.affordable(Count(n, 0), CAP, 0.95) for n in (50, 200, 1000, 10_000)]

        assert budgets == sorted(budgets)
        assert budgets[0] == 0
        assert budgets[-1] > 200


class TestJudge:
    def test_begins_with_one_call_for_each_agent(self):
        found = guard.judge({}, CAP)

        assert (found.allowed, found.reason) == (Allowed.progressive, "month.unproven")

    def test_earns_full_pace_by_answers_that_found_an_agent(self):
        month = Count(200, 0)

        found = guard.judge({Window.month: month, Window.shift: Count(0, 0)}, CAP)

        assert (found.allowed, found.reason, found.budget) == (Allowed.full, "within_budget", 1)

    def test_slows_down_when_the_month_has_spent_its_budget(self):
        found = guard.judge({Window.month: Count(1000, 25), Window.shift: Count(100, 0)}, CAP)

        assert (found.allowed, found.reason, found.budget) == (Allowed.progressive, "month.spent", 0)

    def test_slows_down_when_the_shift_has(self):
        found = guard.judge({Window.month: Count(20_000, 100), Window.shift: Count(40, 2)}, CAP)

        assert (found.allowed, found.reason) == (Allowed.progressive, "shift.spent")

    @pytest.mark.parametrize("window", Window)
    def test_goes_to_zero_when_the_rate_is_broken_beyond_doubt(self, window: Window):
        good = {Window.month: Count(20_000, 100), Window.shift: Count(1000, 5)}

        found = guard.judge(good | {window: Count(1000, 60)}, CAP)

        assert (found.allowed, found.reason, found.budget) == (Allowed.zero, f"{window}.broken", 0)

    def test_does_not_stop_for_what_may_be_chance(self):
        few, more = (guard.judge({Window.month: Count(n, n), Window.shift: Count(n, n)}, CAP).allowed for n in (2, 3))

        assert (few, more) == (Allowed.progressive, Allowed.zero)

    @given(month=counts, shift=counts, cap=st.floats(0.005, 0.03))
    def test_full_pace_bears_one_more_abandonment_in_thirty_days(self, month: Count, shift: Count, cap: float):
        found = guard.judge({Window.month: month, Window.shift: shift}, cap)

        if found.allowed is Allowed.full:
            after = Count(month.answered + 1, month.abandoned + 1)
            assert guard.upper(after, guard.CONFIDENCE[Window.month]) <= cap + 1e-12

    @given(month=counts, shift=counts)
    def test_one_more_abandonment_never_allows_more(self, month: Count, shift: Count):
        order = list(Allowed)
        before = guard.judge({Window.month: month, Window.shift: shift}, CAP)

        after = guard.judge(
            {Window.month: Count(month.answered + 1, month.abandoned + 1),
             Window.shift: Count(shift.answered + 1, shift.abandoned + 1)}, CAP,
        )  # fmt: skip

        assert order.index(after.allowed) >= order.index(before.allowed)
        assert after.budget <= before.budget

    def test_refuses_counts_that_cannot_be(self):
        with pytest.raises(ValueError, match="no count"):
            Count(1, 2)
