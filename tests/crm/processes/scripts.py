"""Processes for tests: a small real one, and sound ones of any shape."""

from typing import Any

from hypothesis import strategies as st

from crm.processes.definition import Definition, Kind, Operator


def label(text: str) -> dict[str, str]:
    """Return the same words in both languages, told apart by their language."""
    return {"tr": f"{text} (tr)", "en": f"{text} (en)"}


def yes_no(key: str, **more: Any) -> dict[str, Any]:
    """Return a question to be answered with yes or no."""
    return {"key": key, "kind": "yes_no", "label": label(key), **more}


def offer() -> dict[str, Any]:
    """Return a process that offers an operation: who is not interested is thanked, who is says when and why."""
    return {
        "start": "hello",
        "steps": [
            {
                "key": "hello", "text": label("Good day {contact.name}, this is {agent.name} of {firm.name}."),
                "questions": [yes_no("interested")],
                "branches": [
                    {"when": [{"question": "interested", "operator": "equals", "values": [True]}], "to": "details"}
                ],
                "otherwise": "thanks",
            },
            {
                "key": "details", "text": label("Let us see."),
                "questions": [
                    {"key": "kind", "kind": "choice", "label": label("Which"), "choices": [
                        {"key": "hair", "label": label("Hair")}, {"key": "nose", "label": label("Nose")}]},
                    {"key": "budget", "kind": "number", "label": label("Budget"), "least": 0, "most": 100_000,
                     "is_required": False},
                    {"key": "phone", "kind": "number", "label": label("Number"), "is_required": False},
                    {"key": "day", "kind": "date", "label": label("When"), "is_required": False},
                    {"key": "wish", "kind": "text", "label": label("Wish"), "is_required": False},
                ],
                "branches": [
                    {"when": [{"question": "budget", "operator": "at_least", "values": [5000]},
                              {"question": "kind", "operator": "one_of", "values": ["hair"]}], "to": "book"}
                ],
                "otherwise": "thanks",
            },
            {"key": "book", "text": label("We book you."), "ends": {"disposition": "interested"}},
            {"key": "thanks", "text": label("Thank you."), "ends": {"disposition": None}},
        ],
    }  # fmt: skip


def read(body: dict[str, Any]) -> Definition:
    """Return a definition as it is read."""
    return Definition.model_validate(body)


OF_KIND: dict[Kind, Any] = {
    Kind.choice: st.sampled_from(["one", "two", "three"]),
    Kind.number: st.integers(-50, 50),
    Kind.date: st.dates().map(str),
    Kind.text: st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1).filter(str.strip),
    Kind.yes_no: st.booleans(),
}
"""Answers to a question of each kind."""

OPERATORS = {
    Kind.choice: [Operator.equals, Operator.differs, Operator.one_of, Operator.answered],
    Kind.number: [Operator.equals, Operator.at_least, Operator.at_most, Operator.answered],
    Kind.date: [Operator.at_least, Operator.at_most, Operator.differs],
    Kind.text: [Operator.answered],
    Kind.yes_no: [Operator.equals, Operator.differs],
}


@st.composite
def sound(draw: st.DrawFn) -> Definition:
    """Processes that may be published, of up to eight steps; each leads to later ones only, so that all are reached."""
    count = draw(st.integers(1, 8))
    kinds = [draw(st.lists(st.sampled_from(list(Kind)), max_size=3)) for _ in range(count)]
    asked: list[tuple[str, Kind]] = []
    steps = []
    for n in range(count):
        mine = [(f"q{n}-{m}", kind) for m, kind in enumerate(kinds[n])]
        asked += mine
        is_last = n == count - 1
        branches = []
        if not is_last and asked:
            for _ in range(draw(st.integers(0, 2))):
                conditions = [draw(condition(*draw(st.sampled_from(mine or asked))))]
                branches.append({"when": conditions, "to": f"s{draw(st.integers(n + 1, count - 1))}"})
        steps.append({
            "key": f"s{n}", "text": label(f"say {n}"),
            "questions": [question(key, kind, draw(st.booleans())) for key, kind in mine],
            "branches": branches,
            **({"ends": {"disposition": draw(st.sampled_from([None, "interested"]))}} if is_last
               else {"otherwise": f"s{n + 1}"}),
        })  # fmt: skip
    return read({"start": "s0", "steps": steps})


def question(key: str, kind: Kind, is_required: bool) -> dict[str, Any]:
    """Return a question of a kind."""
    choices = [{"key": each, "label": label(each)} for each in ("one", "two", "three")]
    return {
        "key": key, "kind": kind.value, "label": label(key), "is_required": is_required,
        "choices": choices if kind is Kind.choice else [],
    }  # fmt: skip


@st.composite
def condition(draw: st.DrawFn, key: str, kind: Kind) -> dict[str, Any]:
    """Conditions on the answer to a question of a kind."""
    operator = draw(st.sampled_from(OPERATORS[kind]))
    count = {Operator.answered: 0, Operator.one_of: 2}.get(operator, 1)
    return {
        "question": key, "operator": operator.value,
        "values": draw(st.lists(OF_KIND[kind], min_size=count, max_size=count)),
    }  # fmt: skip


@st.composite
def answers(draw: st.DrawFn, definition: Definition) -> dict[str, Any]:
    """Answers to any of a process's questions, whether they come to be asked or not."""
    questions = [question for step in definition.steps for question in step.questions]
    some = draw(st.lists(st.sampled_from(questions), unique_by=lambda each: each.key)) if questions else []
    return {each.key: draw(OF_KIND[each.kind]) for each in some}
