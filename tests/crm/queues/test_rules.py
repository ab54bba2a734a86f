"""Settings, ways out, rings of agents and estimated waits."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crm.queues import overflow, rings, waits
from crm.queues.overflow import Sent, Stand
from crm.queues.rings import Agent
from crm.queues.rules import Need, Overflow, Ring, Settings, Way

LABELS = {"tr": "Satış", "en": "Sales"}
TO_SPARE = Way(to="queue", queue="spare")
BUSY = Way(to="message", prompt="all-busy")


def settings(**changed: Any) -> Settings:
    return Settings.model_validate({"labels": LABELS, **changed})


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"labels": {"tr": "Satış"}},
            {"rings": []},
            {"rings": [{"after_s": 5}]},
            {"rings": [{}, {"after_s": 0}]},
            {"sl_s": 10, "short_s": 11},
            {"short_s": 21},
            {"timezone": "Mars/Olympus"},
            {"overflow": [{"way": {"to": "callback"}}]},
            {"last_resort": {"to": "queue"}},
            {"last_resort": {"to": "message"}},
            {"last_resort": {"to": "callback", "queue": "spare"}},
            {"unheard_of": 1},
        ],
    )
    def test_refuses_what_cannot_be_meant(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            settings(**wrong)


stands = st.builds(
    Stand,
    waited_s=st.floats(0, 1000),
    ahead=st.integers(0, 50),
    service_level=st.none() | st.floats(0, 1),
    calls=st.integers(1, 20),
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "after_s": st.integers(1, 1000),
        "beyond": st.integers(0, 50),
        "service_level_below": st.floats(0.01, 1),
    },
).filter(bool)
"""What a rule may say."""


class TestDecide:
    @given(stands, conditions, st.integers(1, 20))
    def test_a_rule_fires_exactly_when_all_it_says_holds(self, stand: Stand, said: dict[str, Any], calls: int) -> None:
        queue = settings(overflow=[Overflow(**said, calls=calls, way=TO_SPARE)])
        expected = (
            ("after_s" not in said or stand.waited_s >= said["after_s"])
            and ("beyond" not in said or stand.ahead > said["beyond"])
            and (
                "service_level_below" not in said
                or (
                    stand.service_level is not None
                    and stand.calls >= calls
                    and stand.service_level < said["service_level_below"]
                )
            )
        )

        sent = overflow.decide(queue, stand, lambda way: True)

        assert (sent is not None) is expected

    @given(stands)
    def test_nobody_is_sent_away_where_nothing_is_said(self, stand: Stand) -> None:
        assert overflow.decide(settings(), stand, lambda way: True) is None

    def test_takes_the_first_rule_whose_way_can_be_gone(self) -> None:
        queue = settings(overflow=[Overflow(after_s=1, way=TO_SPARE), Overflow(after_s=1, way=Way(to="callback"))])
        stand = Stand(waited_s=5, ahead=0, service_level=None)

        first = overflow.decide(queue, stand, lambda way: True)
        second = overflow.decide(queue, stand, lambda way: way.to != "queue")

        assert first == Sent(TO_SPARE, "overflow")
        assert second == Sent(Way(to="callback"), "overflow")

    def test_ends_by_itself_at_the_longest_wait_and_the_greatest_length(self) -> None:
        queue = settings(max_wait_s=60, max_length=3, last_resort=BUSY)

        waited = overflow.decide(queue, Stand(60, 0, None), lambda way: True)
        full = overflow.decide(queue, Stand(0, 3, None), lambda way: True)
        neither = overflow.decide(queue, Stand(59, 2, None), lambda way: True)

        assert (waited, full, neither) == (Sent(BUSY, "timeout"), Sent(BUSY, "overflow"), None)

    def test_says_that_it_is_closed_before_anything_else(self) -> None:
        stand = Stand(100, 9, 0.1, 5, is_open=False, forced=TO_SPARE)

        sent = overflow.decide(settings(), stand, lambda way: True)
        stays = overflow.decide(settings(when_closed=None), replace(stand, forced=None), lambda way: True)

        assert sent == Sent(Way(to="message", prompt="closed"), "closed")
        assert stays is None

    def test_a_supervisor_sends_everybody(self) -> None:
        sent = overflow.decide(settings(), Stand(0, 0, None, forced=TO_SPARE), lambda way: True)

        assert sent == Sent(TO_SPARE, "overflow")


def agent(number: int = 1, *, team: int = 1, **skills: int) -> Agent:
    return Agent(UUID(int=number), f"PJSIP/agent-{number}", UUID(int=team), skills)


ring_lists = st.lists(
    st.tuples(
        st.lists(st.builds(Need, skill=st.sampled_from(["sales", "english"]), level=st.integers(1, 5)), max_size=2),
        st.lists(st.sampled_from([UUID(int=1), UUID(int=2)]), max_size=1),
    ),
    min_size=1,
    max_size=4,
).map(lambda found: tuple(Ring(after_s=10 * n, needs=tuple(a), teams=tuple(b)) for n, (a, b) in enumerate(found)))
agent_lists = st.lists(
    st.tuples(st.integers(1, 2), st.dictionaries(st.sampled_from(["sales", "english"]), st.integers(1, 5))),
    max_size=6,
).map(lambda found: [agent(n, team=team, **skills) for n, (team, skills) in enumerate(found, 1)])


class TestWanted:
    def test_lets_lower_levels_answer_only_after_a_while(self) -> None:
        needs = [Need(skill="sales", level=4)], [Need(skill="sales", level=2)], []
        queue = settings(rings=[Ring(after_s=20 * n, needs=tuple(each)) for n, each in enumerate(needs)])
        people = [agent(1, sales=5), agent(2, sales=3), agent(3)]

        at_once, later, at_last = (rings.wanted(queue, people, seconds) for seconds in (0, 20, 40))

        assert list(at_once) == ["PJSIP/agent-1"]
        assert list(later) == ["PJSIP/agent-1", "PJSIP/agent-2"]
        assert sorted(at_last, key=lambda each: at_last[each]) == ["PJSIP/agent-1", "PJSIP/agent-2", "PJSIP/agent-3"]

    def test_prefers_the_best_where_that_is_wanted(self) -> None:
        queue = settings(rings=[Ring(needs=(Need(skill="sales"),))], choice="best_skilled")
        people = [agent(1, sales=2), agent(2, sales=5)]

        found = rings.wanted(queue, people, 0)

        assert found["PJSIP/agent-2"] < found["PJSIP/agent-1"]

    def test_keeps_to_the_teams_of_a_ring(self) -> None:
        queue = settings(rings=[Ring(teams=(UUID(int=2),))])

        assert list(rings.wanted(queue, [agent(1, team=1), agent(2, team=2)], 0)) == ["PJSIP/agent-2"]

    @given(
        ring_lists, agent_lists, st.floats(0, 100), st.floats(0, 100), st.sampled_from(["best_skilled", "longest_idle"])
    )
    def test_each_ring_holds_the_one_before(
        self, found: tuple[Ring, ...], people: list[Agent], one: float, other: float, choice: str
    ) -> None:
        queue = settings(rings=found, choice=choice)

        early, late = (rings.wanted(queue, people, seconds) for seconds in sorted((one, other)))

        assert early.items() <= late.items()

    @given(ring_lists, agent_lists)
    def test_an_outer_ring_never_comes_before_an_inner_one(self, found: tuple[Ring, ...], people: list[Agent]) -> None:
        queue = settings(rings=found, choice="best_skilled")

        inner, all_of_them = rings.wanted(queue, people, 0), rings.wanted(queue, people, 1000)

        outer = [number for endpoint, number in all_of_them.items() if endpoint not in inner]
        assert all(number < other for number in inner.values() for other in outer)


class TestEstimate:
    def test_is_the_plain_estimate_where_nobody_gives_up(self) -> None:
        found = waits.estimate_s(4, agents=5, free=0, service_s=200, patience_s=None)

        assert found == pytest.approx(5 * 200 / 5)

    def test_counts_those_before_who_will_give_up(self) -> None:
        found = waits.estimate_s(1, agents=2, free=0, service_s=100, patience_s=50)

        assert found == pytest.approx(1 / 0.02 + 1 / 0.04)

    def test_is_nothing_for_whom_an_agent_is_free(self) -> None:
        assert waits.estimate_s(1, agents=3, free=2, service_s=100, patience_s=None) == 0.0
        assert waits.estimate_s(0, agents=0, free=0, service_s=100, patience_s=None) is None

    @given(st.integers(0, 100), st.integers(1, 50), st.floats(1, 1000), st.none() | st.floats(1, 1000))
    def test_grows_with_those_ahead_and_shrinks_with_agents(
        self, ahead: int, agents: int, service_s: float, patience: float | None
    ) -> None:
        def estimate(before: int, people: int) -> float:
            found = waits.estimate_s(before, agents=people, free=0, service_s=service_s, patience_s=patience)
            assert found is not None
            return found

        assert estimate(ahead, agents) < estimate(ahead + 1, agents)
        assert estimate(ahead, agents) > estimate(ahead, agents + 1)

    def test_patience_is_what_was_waited_for_each_who_gave_up(self) -> None:
        assert waits.patience_s(waited_s=600, abandoned=3) == 200
        assert waits.patience_s(waited_s=600, abandoned=0) is None
