"""What the events of a call that is over tell of its legs."""

from itertools import pairwise
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from crm.calls import legs, spans, telling
from crm.calls.facts import AgentConnected, Fact, QueueJoined, Transferred
from crm.calls.known import Direction, Known
from tests.crm.calls.test_story import CALL, answered, at, bridged, dialled, ended, held

DANA, ELIF = uuid4(), uuid4()


def told(*facts: Fact, until: float, direction: Direction = Direction.inbound) -> list[dict[str, Any]]:
    known = Known(CALL, direction, facts)
    return telling.legs(known, legs.of(known), {"dana": DANA, "elif": ELIF}, at(until))


def handed_over(*, is_attended: bool) -> list[Fact]:
    """Dana answers after ten seconds, holds from 20 to 30, and gives the customer to Elif, who answered at 24."""
    dana = {"queue": "sales", "interface": "PJSIP/agent-1", "agent_leg": "dana"}
    return [
        *dialled(), *answered(when=0.5), QueueJoined(call_id=CALL, leg_id=CALL, at=at(1), queue="sales", position=1),
        AgentConnected(call_id=CALL, leg_id=CALL, at=at(10), **dana, waited_s=9, ring_s=2),
        *dialled("dana", by=CALL, began=8), *answered("dana", by=CALL, when=10),
        *bridged((CALL, "dana"), 10, 30), *bridged((CALL, "elif"), 30, 50, "b2"),
        *held(20, 30), *dialled("elif", by="dana", began=22), *answered("elif", by="dana", when=24),
        Transferred(call_id=CALL, leg_id="dana", at=at(30), is_attended=is_attended, has_succeeded=True),
        ended("dana", when=30, cause=16, was_up=True), ended("elif", when=50, cause=16, was_up=True),
        ended(when=50, cause=16, was_up=True),
    ]  # fmt: skip


class TestLegs:
    def test_tell_who_spoke_how_long_and_gave_the_customer_away(self) -> None:
        customer, dana, elif_ = told(*handed_over(is_attended=True), until=50)

        assert (customer["party"], dana["party"], elif_["party"]) == ("customer", "agent", "agent")
        assert (dana["agent_user_id"], dana["talk_s"], dana["hold_s"], dana["transfer"]) == (DANA, 10, 10, "attended")
        assert (elif_["agent_user_id"], elif_["talk_s"], elif_["hold_s"], elif_["transfer"]) == (ELIF, 20, 0, None)
        assert [leg["leg_no"] for leg in (customer, dana, elif_)] == [1, 2, 3]

    def test_tell_a_blind_transfer_as_one(self) -> None:
        _, dana, _ = told(*handed_over(is_attended=False), until=50)

        assert dana["transfer"] == "blind"

    def test_tell_of_who_never_answered_that_they_did_not(self) -> None:
        customer, agent = told(
            *dialled(), *answered(when=1), *dialled("dana", by=CALL, began=2), ended("dana", when=9, cause=19),
            ended(when=12, cause=16, was_up=True), until=12,
        )  # fmt: skip

        assert (agent["stage"], agent["answered_at"], agent["talk_s"], agent["hold_s"]) == ("left", None, 0, 0)
        assert customer["ended_at"] == at(12)

    def test_name_no_leg_of_the_exchanges(self) -> None:
        assert not [word for leg in told(*handed_over(is_attended=True), until=50) for word in leg.values()
                    if word in ("dana", "elif", CALL, "PJSIP/agent-1")]  # fmt: skip


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=6).map(
    lambda drawn: [(at(start), at(start + length)) for start, length in drawn]
)


class TestWithout:
    @given(SPANS, SPANS)
    def test_divides_a_time_in_two(self, some: list[spans.Span], others: list[spans.Span]) -> None:
        whole, rest = spans.union(some), spans.without(some, others)

        assert spans.length(rest) + spans.length(spans.shared(whole, spans.union(others))) == spans.length(whole)
        assert all(before[1] <= after[0] for before, after in pairwise(rest))
        assert spans.shared(rest, spans.union(others)) == []
