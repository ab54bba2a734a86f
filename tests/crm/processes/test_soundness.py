"""What keeps a process from being published is named by step and field."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.processes.definition import Definition
from crm.processes.soundness import ways, wrong_with
from tests.crm.processes.scripts import label, offer, read, sound, yes_no

Change = Callable[[dict[str, Any]], None]


def changed(change: Change) -> dict[str, str]:
    """Return what is wrong with the small process after a change."""
    body = offer()
    change(body)
    return wrong_with(read(body))


def condition(body: dict[str, Any]) -> dict[str, Any]:
    """Return the first condition of the process."""
    found: dict[str, Any] = body["steps"][0]["branches"][0]["when"][0]
    return found


class TestWrongWith:
    def test_finds_nothing_wrong_with_a_sound_process(self) -> None:
        assert wrong_with(read(offer())) == {}

    @pytest.mark.parametrize(
        ("change", "wrong"),
        [
            (lambda b: b.update(start="begin"), {"start": "no such step"}),
            (
                lambda b: b["steps"].append({"key": "alone", "text": label("x"), "ends": {}}),
                {"steps.alone": "nothing leads here"},
            ),
            (lambda b: b["steps"][1].update(otherwise="nowhere"), {"steps.details.otherwise": "no such step"}),
            (
                lambda b: b["steps"][1].update(otherwise=None),
                {"steps.details.otherwise": "where to when no branch holds: name a step, or let it end"},
            ),
            (lambda b: b["steps"][1].update(ends={}), {"steps.details.ends": "a step ends, or leads on; not both"}),
            (
                lambda b: b["steps"][1].update(otherwise="hello"),
                {
                    "steps.hello": "leads back to itself: a call that came here twice would never end",
                    "steps.details": "leads back to itself: a call that came here twice would never end",
                },
            ),
            (lambda b: b["steps"][0]["text"].update(tr=" "), {"steps.hello.text.tr": "required"}),
            (
                lambda b: b["steps"][0]["questions"][0]["label"].update(en=""),
                {"steps.hello.questions.interested.label.en": "required"},
            ),
            (
                lambda b: b["steps"][1]["questions"][0]["choices"][1]["label"].update(en=""),
                {"steps.details.questions.kind.choices.nose.label.en": "required"},
            ),
            (
                lambda b: b["steps"][2]["text"].update(en="Bye {"),
                {"steps.book.text.en": "a brace of its own: placeholders look like {contact.name}"},
            ),
            (
                lambda b: (
                    b["steps"][2]["questions"].append(yes_no("interested"))
                    if "questions" in b["steps"][2]
                    else b["steps"][2].update(questions=[yes_no("interested")])
                ),
                {
                    "steps.hello.questions.interested.key": "asked more than once; each has its own key",
                    "steps.book.questions.interested.key": "asked more than once; each has its own key",
                    "steps.hello.branches.0.when.0.question": "is not asked before this step",
                },
            ),
            (
                lambda b: condition(b).update(question="kind", values=["hair"]),
                {"steps.hello.branches.0.when.0.question": "is not asked before this step"},
            ),
            (
                lambda b: condition(b).update(question="mood"),
                {"steps.hello.branches.0.when.0.question": "no such question"},
            ),
            (lambda b: condition(b).update(values=["yes"]), {"steps.hello.branches.0.when.0.values": "true or false"}),
            (lambda b: condition(b).update(values=[]), {"steps.hello.branches.0.when.0.values": "exactly one"}),
            (
                lambda b: condition(b).update(operator="at_least"),
                {"steps.hello.branches.0.when.0.operator": "only numbers and dates are more or less"},
            ),
            (
                lambda b: b["steps"][1]["questions"][0].update(choices=[]),
                {
                    "steps.details.questions.kind.choices": "at least two to choose from",
                    "steps.details.branches.0.when.1.values": "any of ",
                },
            ),
            (
                lambda b: b["steps"][1]["questions"][1].update(least=7, most=6),
                {
                    "steps.details.questions.budget.least": "more than most",
                    "steps.details.branches.0.when.0.values": "at most 6",
                },
            ),
        ],
    )
    def test_names_step_and_field(self, change: Change, wrong: dict[str, str]) -> None:
        assert changed(change) == wrong

    def test_names_unknown_placeholders_and_those_there_are(self) -> None:
        found = changed(lambda body: body["steps"][3]["text"].update(en="Bye {contact.phone}"))

        assert list(found) == ["steps.thanks.text.en"]
        assert found["steps.thanks.text.en"].startswith("there is no {contact.phone}; known are contact.name, ")

    @given(st.data())
    def test_refuses_every_way_that_is_bent_back(self, data: st.DataObject) -> None:
        definition: Definition = data.draw(sound().filter(lambda each: len(each.steps) > 1))
        body = definition.model_dump(mode="json")
        n = data.draw(st.integers(1, len(definition.steps) - 1))
        body["steps"][n] |= {"otherwise": f"s{data.draw(st.integers(0, n))}", "ends": None}

        found = wrong_with(read(body))

        assert any("leads back" in why or "nothing leads here" in why for why in found.values())

    @given(sound())
    def test_finds_whatever_is_cut_off(self, definition: Definition) -> None:
        body = definition.model_dump(mode="json")
        body["steps"].append({"key": "island", "text": label("x"), "ends": {"disposition": None}})

        assert wrong_with(read(body)) == {"steps.island": "nothing leads here"}

    def test_names_ways_by_their_fields(self) -> None:
        assert ways(read(offer()).steps[0]) == [("branches.0.to", "details"), ("otherwise", "thanks")]
