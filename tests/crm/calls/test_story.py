"""Calls told by few facts; whole recorded conversations are told in `tests/dialer`."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.calls.facts import (
    AgentConnected,
    AgentFinished,
    AgentMissed,
    BridgeEntered,
    BridgeLeft,
    Detected,
    DialBegan,
    DialEnded,
    Dialled,
    DialReported,
    Held,
    LegAnswered,
    LegEnded,
    LegRinging,
    LegStarted,
    OriginateEnded,
    Party,
    QueueAbandoned,
    QueueEnd,
    QueueEnded,
    QueueJoined,
    QueueLeft,
    Unheld,
    Verdict,
)
from crm.calls.story import Direction, Outcome, tell
from crm.calls.visits import VisitEnd

START = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
CALL = "call"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def dialled(leg: str = CALL, by: str = "", began: float = 0.0):
    return [
        LegStarted(call_id=CALL, leg_id=leg, at=at(began)),
        DialBegan(call_id=CALL, leg_id=leg, at=at(began), by_leg=by),
    ]


def answered(leg: str = CALL, by: str = "", when: float = 1.0):
    return [
        LegAnswered(call_id=CALL, leg_id=leg, at=at(when)),
        DialEnded(call_id=CALL, leg_id=leg, at=at(when), by_leg=by, dialled=Dialled.answer),
    ]


def ended(leg: str = CALL, *, when: float, cause: int, was_up: bool = False):
    return LegEnded(call_id=CALL, leg_id=leg, at=at(when), cause=cause, was_up=was_up)


def bridged(legs: tuple[str, ...], since: float, until: float, bridge: str = "b1"):
    entered = [BridgeEntered(call_id=CALL, leg_id=leg, at=at(since), bridge_id=bridge) for leg in legs]
    return entered + [BridgeLeft(call_id=CALL, leg_id=leg, at=at(until), bridge_id=bridge) for leg in legs]


def refused(reason: int, when: float = 1.0):
    return OriginateEnded(call_id=CALL, leg_id=CALL, at=at(when), action_id="a", has_succeeded=False, reason=reason)


def abandoned(when: float):
    return QueueAbandoned(call_id=CALL, leg_id=CALL, at=at(when), queue="sales", waited_s=5)


def held(since: float, until: float):
    return [Held(call_id=CALL, leg_id=CALL, at=at(since)), Unheld(call_id=CALL, leg_id=CALL, at=at(until))]


def waited(since: float, until: float, queue: str = "sales"):
    return [
        QueueJoined(call_id=CALL, leg_id=CALL, at=at(since), queue=queue, position=1),
        QueueLeft(call_id=CALL, leg_id=CALL, at=at(until), queue=queue),
    ]


def served(since: float, until: float, queue: str = "sales"):
    agent = {"queue": queue, "interface": "PJSIP/a1", "agent_leg": "agent"}
    return [
        AgentConnected(call_id=CALL, leg_id=CALL, at=at(since), **agent, waited_s=since, ring_s=1),
        AgentFinished(call_id=CALL, leg_id=CALL, at=at(until), **agent, talk_s=until - since, by=Party.caller),
        *bridged((CALL, "agent"), since, until),
    ]


class TestCustomerFirst:
    @pytest.mark.parametrize(
        ("cause", "outcome"),
        [
            (17, Outcome.busy), (19, Outcome.no_answer), (21, Outcome.rejected), (34, Outcome.congestion),
            (1, Outcome.invalid), (28, Outcome.invalid), (16, Outcome.cancelled), (0, Outcome.failed),
        ],
    )  # fmt: skip
    def test_goes_by_the_cause_of_the_leg(self, cause, outcome):
        story = tell(CALL, Direction.customer_first, [*dialled(), ended(when=5, cause=cause), refused(0, 5)])

        assert (story.outcome, story.cause, story.ring_s) == (outcome, cause, 5.0)

    @pytest.mark.parametrize(
        ("facts", "outcome"),
        [
            ([*dialled(), refused(5), ended(when=1, cause=0)], Outcome.busy),
            ([*dialled(), refused(3)], Outcome.no_answer),
            ([refused(0)], Outcome.failed),
            (
                [
                    *dialled(), *dialled("inner", by="call-b"), refused(0), ended(when=1, cause=16),
                    DialEnded(call_id=CALL, leg_id=CALL, at=at(1), by_leg="", dialled=Dialled.no_answer),
                    DialEnded(call_id=CALL, leg_id="inner", at=at(1), by_leg="call-b", dialled=Dialled.busy),
                ],
                Outcome.busy,
            ),
            (dialled(), Outcome.open),
            ([], Outcome.open),
        ],
    )  # fmt: skip
    def test_goes_by_what_else_is_told(self, facts, outcome):
        assert tell(CALL, Direction.customer_first, facts).outcome is outcome

    def test_is_a_machine_s_when_detection_says_so(self):
        detected = Detected(call_id=CALL, leg_id=CALL, at=at(3), verdict=Verdict.machine)

        story = tell(CALL, Direction.customer_first, [*dialled(), *answered(), detected, ended(when=3, cause=16)])

        assert (story.outcome, story.verdict, story.talk_s) == (Outcome.machine, Verdict.machine, 0)


class TestQueued:
    def test_talk_begins_with_the_agent_and_not_with_a_trunk_s_bridge(self):
        trunk = bridged((CALL, "trunk"), 1, 3, "b0")
        facts = [*dialled(), *answered(), *trunk, *waited(1, 4), *served(4, 10), ended(when=12, cause=16, was_up=True)]

        story = tell(CALL, Direction.customer_first, facts)

        assert story.outcome is Outcome.answered
        assert (story.connected_at, story.talk_s) == (at(4), 6.0)
        [visit] = story.visits
        assert (visit.end, visit.waited_s, visit.talk_s, visit.ended_by) == (VisitEnd.connected, 3.0, 6.0, Party.caller)

    @pytest.mark.parametrize(
        ("more", "outcome", "end"),
        [
            ([abandoned(6)], Outcome.abandoned, VisitEnd.abandoned),
            (
                [abandoned(6), QueueEnded(call_id=CALL, leg_id=CALL, at=at(6), end=QueueEnd.timeout)],
                Outcome.dropped,
                VisitEnd.timeout,
            ),
        ],
    )
    def test_an_abandonment_is_the_caller_s_own_only_without_a_word_of_the_queue(self, more, outcome, end):
        facts = [*dialled(), *answered(), *waited(1, 6), *more, ended(when=6, cause=16, was_up=True)]

        story = tell(CALL, Direction.customer_first, facts)

        assert (story.outcome, story.visits[0].end) == (outcome, end)

    def test_is_dropped_when_the_queue_lets_nobody_in(self):
        refusal = QueueEnded(call_id=CALL, leg_id=CALL, at=at(1), end=QueueEnd.join_empty)

        story = tell(CALL, Direction.inbound, [*dialled(), *answered(), refusal, ended(when=1, cause=16)])

        assert (story.outcome, story.visits[0].end) == (Outcome.dropped, VisitEnd.refused)

    def test_tells_each_stay_and_who_missed_it(self):
        agent = {"interface": "PJSIP/a9", "agent_leg": "other"}
        missed = AgentMissed(call_id=CALL, leg_id=CALL, at=at(3), queue="sales", **agent, ring_s=2)
        left = QueueEnded(call_id=CALL, leg_id=CALL, at=at(5), end=QueueEnd.timeout)
        facts = [*dialled(), *answered(), *waited(1, 5), missed, left, *waited(5, 8, "backup"), *served(8, 9, "backup")]

        story = tell(CALL, Direction.inbound, facts)

        assert [(visit.queue, visit.missed) for visit in story.visits] == [("sales", ("PJSIP/a9",)), ("backup", ())]
        assert [visit.end for visit in story.visits] == [VisitEnd.timeout, VisitEnd.connected]
        assert story.outcome is Outcome.answered


class TestAgentFirst:
    def click(self, *more):
        done = OriginateEnded(call_id=CALL, leg_id=CALL, at=at(2), action_id="a", has_succeeded=True, reason=4)
        return [*dialled(), *answered(when=2), done, *more]

    def test_the_agent_s_answer_is_not_the_customer_s(self):
        story = tell(CALL, Direction.agent_first, self.click(*dialled("customer", CALL, 2)))

        assert (story.outcome, story.answered_at) == (Outcome.open, None)

    def test_never_takes_the_customer_s_result_from_the_agent_s_leg(self):
        facts = self.click(*dialled("customer", CALL, 2), ended("customer", when=4, cause=21), ended(when=4, cause=17))

        story = tell(CALL, Direction.agent_first, facts)

        assert (story.outcome, story.cause, story.ring_s) == (Outcome.rejected, 21, 2.0)

    def test_a_number_that_is_none_is_told_by_the_dialplan_alone(self):
        report = DialReported(call_id=CALL, leg_id=CALL, at=at(2), dialled=Dialled.unavailable, cause=0)

        story = tell(CALL, Direction.agent_first, self.click(report, ended(when=2, cause=16, was_up=True)))

        assert (story.outcome, story.ended_at) == (Outcome.invalid, at(2))

    @pytest.mark.parametrize(
        ("facts", "outcome"),
        [
            ([*dialled(), ended(when=3, cause=19), refused(3, 3)], Outcome.agent_no_answer),
            ([*dialled(), ended(when=3, cause=16), refused(0, 3)], Outcome.cancelled),
            ([refused(0, 0)], Outcome.failed),
            (dialled(), Outcome.open),
        ],
    )
    def test_a_customer_is_not_called_before_the_agent_answers(self, facts, outcome):
        story = tell(CALL, Direction.agent_first, facts)

        assert (story.outcome, story.ring_s, story.answered_at) == (outcome, None, None)

    def test_who_leaves_holds_no_longer(self):
        talk = [*answered("customer", CALL, 3), *bridged((CALL, "customer"), 3, 20)]
        gone = [Held(call_id=CALL, leg_id="other", at=at(5)), ended("other", when=8, cause=16, was_up=True)]

        story = tell(CALL, Direction.agent_first, self.click(*dialled("customer", CALL, 2), *talk, *gone))

        assert (story.talk_s, story.held_s) == (14.0, 3.0)

    def test_hold_is_no_talk(self):
        talk = [*answered("customer", CALL, 3), *bridged((CALL, "customer"), 3, 20)]
        hold = [*held(5, 9), Unheld(call_id=CALL, leg_id=CALL, at=at(11))]

        story = tell(CALL, Direction.agent_first, self.click(*dialled("customer", CALL, 2), *talk, *hold))

        assert (story.talk_s, story.held_s) == (13.0, 4.0)


LEGS = st.sampled_from([CALL, "customer", "agent"])
TIMES = st.floats(0, 30).map(at)
KINDS = st.one_of(
    st.builds(LegStarted, call_id=st.just(CALL), leg_id=LEGS, at=TIMES),
    st.builds(LegRinging, call_id=st.just(CALL), leg_id=LEGS, at=TIMES),
    st.builds(LegAnswered, call_id=st.just(CALL), leg_id=LEGS, at=TIMES),
    st.builds(LegEnded, call_id=st.just(CALL), leg_id=LEGS, at=TIMES, cause=st.integers(0, 127), was_up=st.booleans()),
    st.builds(DialEnded, call_id=st.just(CALL), leg_id=LEGS, at=TIMES, by_leg=LEGS, dialled=st.sampled_from(Dialled)),
    st.builds(BridgeEntered, call_id=st.just(CALL), leg_id=LEGS, at=TIMES, bridge_id=st.sampled_from("ab")),
    st.builds(BridgeLeft, call_id=st.just(CALL), leg_id=LEGS, at=TIMES, bridge_id=st.sampled_from("ab")),
    st.builds(Held, call_id=st.just(CALL), leg_id=LEGS, at=TIMES),
    st.builds(QueueJoined, call_id=st.just(CALL), leg_id=LEGS, at=TIMES, queue=st.just("q"), position=st.just(1)),
    st.builds(QueueLeft, call_id=st.just(CALL), leg_id=LEGS, at=TIMES, queue=st.just("q")),
)


@given(st.lists(KINDS, max_size=25), st.sampled_from(Direction), st.randoms())
def test_order_and_repetition_change_nothing(facts, direction, chance: random.Random):
    shuffled = facts + facts[: len(facts) // 2]
    chance.shuffle(shuffled)

    assert tell(CALL, direction, shuffled) == tell(CALL, direction, facts)


@given(st.lists(KINDS, max_size=25), st.sampled_from(Direction))
def test_any_facts_tell_a_story_that_can_be(facts, direction):
    story = tell(CALL, direction, facts)

    assert story.talk_s >= 0
    assert story.held_s >= 0
    assert story.ring_s is None or direction is not Direction.agent_first or story.ring_s >= 0 or story.answered_at
