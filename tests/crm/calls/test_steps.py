"""The statuses that facts tell, whatever their order."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crm.calls import steps
from crm.calls.facts import (
    AgentCalled,
    AgentConnected,
    BridgeEntered,
    BridgeLeft,
    DialBegan,
    DialEnded,
    Dialled,
    Fact,
    Held,
    LegAnswered,
    LegEnded,
    LegRinging,
    LegStarted,
    QueueJoined,
    QueueLeft,
    Unheld,
    Vanished,
)
from crm.calls.known import Direction
from crm.calls.steps import LIVE, Status
from crm.calls.story import tell
from tests.crm.calls.test_story import CALL, at

AGENT = "agent-leg"
OF = {"call_id": CALL, "leg_id": CALL}


def statuses(facts: list[Fact], direction: Direction = Direction.customer_first) -> list[str]:
    """Return the statuses of a call."""
    return [step.status.value for step in steps.of(CALL, direction, facts, tell(CALL, direction, facts))]


PREDICTIVE: list[Fact] = [
    LegStarted(**OF, at=at(0)), LegRinging(**OF, at=at(1)), LegAnswered(**OF, at=at(5)),
    QueueJoined(**OF, at=at(6), queue="sales", position=1),
    AgentCalled(**OF, at=at(7), queue="sales", interface="PJSIP/a", agent_leg=AGENT),
    AgentConnected(**OF, at=at(9), queue="sales", interface="PJSIP/a", agent_leg=AGENT, waited_s=3, ring_s=2),
    QueueLeft(**OF, at=at(9), queue="sales"), BridgeEntered(**OF, at=at(9), bridge_id="b"),
    Held(**OF, at=at(12)), Unheld(**OF, at=at(15)), BridgeLeft(**OF, at=at(20), bridge_id="b"),
    LegEnded(**OF, at=at(20), cause=16, was_up=True),
]  # fmt: skip
WHOLE = ["ringing", "answered", "queued", "agent_ringing", "connected", "held", "connected", "ended"]


class TestOf:
    def test_tells_a_whole_call(self):
        assert statuses(PREDICTIVE) == WHOLE

    @given(st.randoms(use_true_random=False), st.integers(0, 5))
    def test_does_not_mind_the_order_or_repetitions(self, chance: random.Random, again: int):
        told = PREDICTIVE + chance.choices(PREDICTIVE, k=again)
        chance.shuffle(told)

        assert statuses(told) == WHOLE

    @given(st.lists(st.sampled_from(PREDICTIVE), max_size=12))
    def test_goes_on_in_time_and_ends_once(self, some: list[Fact]):
        told = steps.of(CALL, Direction.customer_first, some, tell(CALL, Direction.customer_first, some))

        assert [step.at for step in told] == sorted(step.at for step in told)
        assert all(step.status is not Status.ended for step in told[:-1])
        assert all(before.status is not after.status for before, after in pairwise(told))

    @given(st.integers(0, len(PREDICTIVE)))
    def test_each_moment_of_a_call_is_somewhere(self, n: int):
        known = PREDICTIVE[:n]
        told = statuses(known)

        assert told == WHOLE[: len(told)] or told[-1] in LIVE

    def test_a_click_rings_the_agent_first(self):
        known = [
            LegStarted(**OF, at=at(0)), LegRinging(**OF, at=at(0)), LegAnswered(**OF, at=at(2)),
            DialBegan(call_id=CALL, leg_id="c", at=at(3), by_leg=CALL),
            DialEnded(call_id=CALL, leg_id="c", at=at(6), by_leg=CALL, dialled=Dialled.busy),
            LegEnded(call_id=CALL, leg_id="c", at=at(6), cause=17, was_up=False),
        ]  # fmt: skip

        assert statuses(known, Direction.agent_first) == ["agent_ringing", "ringing", "ended"]

    def test_what_vanished_has_ended(self):
        known = [*PREDICTIVE[:3], Vanished(call_id=CALL, at=at(30))]

        assert statuses(known)[-1] == "ended"
