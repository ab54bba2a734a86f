"""The order of callers, and how the exchange is brought to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crm.queues import order
from crm.queues.order import Waiting

NOON = datetime(2026, 3, 3, 9, tzinfo=UTC)


def caller(number: int, *, came: float = 0, due_s: float = 20, priority: int = 0, asked: int = 0) -> Waiting:
    """A caller who came so many seconds after noon."""
    since = NOON + timedelta(seconds=came)
    return Waiting(UUID(int=number), 1, since, since + timedelta(seconds=due_s), priority, asked)


@st.composite
def callers(draw: st.DrawFn) -> list[Waiting]:
    """Callers as a queue may hold them, some moved about already."""
    found = []
    for number in range(draw(st.integers(0, 12))):
        made = caller(
            number, came=draw(st.integers(0, 600)), due_s=draw(st.sampled_from([10, 20, 60])),
            priority=draw(st.integers(0, 5)), asked=draw(st.integers(0, 4)),
        )  # fmt: skip
        moved = made.enqueued_at + timedelta(seconds=draw(st.integers(1, 900)))
        found.append(replace(made, asked_at=moved if made.asked else None))
    return found


class TestInOrder:
    def test_puts_priority_before_waiting_as_far_as_its_steps_reach(self) -> None:
        early, late = caller(1, came=0), caller(2, came=100, priority=1)

        assert order.in_order([late, early], step_s=90) == [early, late]
        assert order.in_order([late, early], step_s=101) == [late, early]

    def test_keeps_to_what_was_promised_first(self) -> None:
        strict, lax = caller(1, came=30, due_s=20), caller(2, came=0, due_s=60)

        assert order.in_order([lax, strict], step_s=90) == [strict, lax]

    @given(callers(), st.integers(1, 300))
    def test_is_the_same_whatever_order_they_are_given_in(self, waiting: list[Waiting], step_s: int) -> None:
        assert order.in_order(waiting, step_s) == order.in_order(reversed(waiting), step_s)

    @given(callers(), st.integers(1, 300))
    def test_never_puts_the_lower_priority_first_among_equal_waits(self, waiting: list[Waiting], step_s: int) -> None:
        ordered = order.in_order(waiting, step_s)

        for n, first in enumerate(ordered):
            for second in ordered[n + 1 :]:
                if (first.enqueued_at, first.due_at) == (second.enqueued_at, second.due_at):
                    assert first.priority >= second.priority

    @given(callers(), st.integers(1, 300), st.integers(0, 10))
    def test_more_priority_never_makes_a_place_worse(self, waiting: list[Waiting], step_s: int, more: int) -> None:
        for n, each in enumerate(waiting):
            raised = [*waiting[:n], replace(each, priority=each.priority + more), *waiting[n + 1 :]]

            before = [one.call_id for one in order.in_order(waiting, step_s)].index(each.call_id)
            after = [one.call_id for one in order.in_order(raised, step_s)].index(each.call_id)

            assert after <= before

    @given(callers(), st.integers(1, 300))
    def test_who_leaves_changes_nothing_among_the_others(self, waiting: list[Waiting], step_s: int) -> None:
        ordered = order.in_order(waiting, step_s)

        for gone in waiting:
            left = [each for each in waiting if each is not gone]
            assert order.in_order(left, step_s) == [each for each in ordered if each is not gone]


def told(waiting: list[Waiting], changed: dict[UUID, int]) -> list[Waiting]:
    """Callers after the exchange was told new numbers, one instant after the other."""
    told_at = NOON + timedelta(hours=1)
    result = []
    for n, each in enumerate(waiting):
        if each.call_id in changed:
            each = replace(each, asked=changed[each.call_id], asked_at=told_at + timedelta(milliseconds=n))
        result.append(each)
    return result


class TestRaises:
    def test_tells_nothing_where_the_exchange_agrees(self) -> None:
        first, second = caller(1, came=0), caller(2, came=5)

        assert order.raises([first, second]) == {}

    def test_raises_only_who_has_to_pass(self) -> None:
        first, second, urgent = caller(1, came=0), caller(2, came=5), caller(3, came=9, priority=9)
        ordered = order.in_order([first, second, urgent], 90)

        assert ordered[0] is urgent
        assert order.raises(ordered) == {urgent.call_id: 1}

    @given(callers(), st.integers(1, 300))
    def test_brings_the_exchange_to_the_order_wanted(self, waiting: list[Waiting], step_s: int) -> None:
        ordered = order.in_order(waiting, step_s)

        changed = order.raises(ordered)

        after = order.on_exchange(told(ordered, changed))
        assert [each.call_id for each in after] == [each.call_id for each in ordered]
        assert all(changed[each.call_id] > each.asked for each in ordered if each.call_id in changed)
        assert order.raises(order.in_order(after, step_s)) == {}
