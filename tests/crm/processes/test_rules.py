"""Walking: every sound process ends, and what is kept is what was asked on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.processes import rules, soundness
from crm.processes.answers import BadAnswer
from crm.processes.definition import Definition, End
from tests.crm.processes.scripts import OF_KIND, answers, offer, read, sound


class TestWalk:
    def test_waits_at_the_first_step_when_nothing_is_answered(self) -> None:
        walk = rules.walk(read(offer()), {})

        assert (walk.at and walk.at.key, walk.end, walk.kept) == ("hello", None, {})

    def test_takes_the_branch_whose_conditions_all_hold(self) -> None:
        rich = {"interested": True, "kind": "hair", "budget": 5000}

        walks = [rules.walk(read(offer()), each) for each in (rich, {**rich, "budget": 4999}, {**rich, "kind": "nose"})]

        assert [walk.path[-1].key for walk in walks] == ["book", "thanks", "thanks"]
        assert walks[0].end == End(disposition="interested")

    def test_holds_nobody_up_with_optional_questions_and_takes_them_for_unmet(self) -> None:
        walk = rules.walk(read(offer()), {"interested": True, "kind": "hair", "budget": None})

        assert (walk.path[-1].key, walk.at, walk.kept) == ("thanks", None, {"interested": True, "kind": "hair"})

    def test_drops_what_was_answered_to_another_turn_of_the_script(self) -> None:
        walk = rules.walk(read(offer()), {"interested": False, "kind": "hair", "wish": "soon"})

        assert (walk.kept, walk.dropped) == ({"interested": False}, ("kind", "wish"))

    def test_keeps_what_is_answered_of_the_step_that_waits(self) -> None:
        walk = rules.walk(read(offer()), {"interested": True, "budget": 100})

        assert (walk.at and walk.at.key, walk.kept) == ("details", {"interested": True, "budget": 100})

    @pytest.mark.parametrize(
        ("key", "value", "why"),
        [
            ("interested", 1, "true or false"),
            ("kind", "ear", "any of hair, nose"),
            ("kind", True, "any of hair, nose"),
            ("budget", True, "a number"),
            ("budget", 100_001, "at most 100000"),
            ("budget", -1, "at least 0"),
            ("phone", 905321234567, "at most 99999999; a telephone number is text"),
            ("phone", -905321234567, "at most 99999999; a telephone number is text"),
            ("day", "tomorrow", "a day, as 2026-03-03"),
            ("day", 20260303, "a day, as 2026-03-03"),
            ("wish", " ", "text of at most 2000 characters"),
            ("colour", "red", "no such question"),
        ],
    )
    def test_names_the_answer_that_is_none(self, key: str, value: object, why: str) -> None:
        with pytest.raises(BadAnswer) as caught:
            rules.walk(read(offer()), {"interested": True, "kind": "hair", key: value})

        assert caught.value.fields == {f"answers.{key}": why}

    @given(st.data())
    def test_always_ends_once_everything_on_the_way_is_answered(self, data: st.DataObject) -> None:
        definition = data.draw(sound())
        given_answers = data.draw(answers(definition))

        walk = rules.walk(definition, given_answers)
        rounds = 0
        while walk.at is not None:
            given_answers |= {each.key: data.draw(OF_KIND[each.kind]) for each in walk.at.questions}
            walk, before = rules.walk(definition, given_answers), walk
            rounds += 1
            assert walk.path[: len(before.path)] == before.path
        assert rounds <= len(definition.steps)
        assert walk.end is not None

    @given(st.data())
    def test_keeps_nothing_that_was_not_asked_and_comes_the_same_way_again(self, data: st.DataObject) -> None:
        definition = data.draw(sound())
        given_answers = data.draw(answers(definition))

        walk = rules.walk(definition, given_answers)

        asked = {question.key for step in walk.path for question in step.questions}
        assert set(walk.kept) == set(given_answers) & asked
        assert set(walk.dropped) == set(given_answers) - asked
        again = rules.walk(definition, walk.kept)
        assert (again.path, again.at, again.end, again.kept) == (walk.path, walk.at, walk.end, walk.kept)

    @given(st.data())
    def test_visits_no_step_twice(self, data: st.DataObject) -> None:
        definition: Definition = data.draw(sound())

        walk = rules.walk(definition, data.draw(answers(definition)))

        keys = [step.key for step in walk.path]
        assert len(keys) == len(set(keys))


@given(sound())
def test_the_processes_of_these_tests_are_sound(definition: Definition) -> None:
    assert soundness.wrong_with(definition) == {}
