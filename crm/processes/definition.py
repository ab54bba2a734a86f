"""The shape of a process: steps with a text to say, questions to ask, and where each leads. No database, no clock."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, StringConstraints

LARGEST = 1_000_000_000_000
"""No number a customer is asked for is larger."""
MOST_STEPS = 200

Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,49}$")]
"""What a process, a step, a question or a choice is called; without dots, which stand between them in paths."""
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
Words = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=4000)]
Number = Annotated[StrictInt | StrictFloat, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Text = Annotated[StrictStr, StringConstraints(pattern=r"^[^\x00]*$", max_length=2000)]
Value = StrictBool | Number | Text
"""An answer as it travels: yes or no, a number, a choice's key, a date (`2026-03-03`) or text."""


class Shape(BaseModel):
    """What all of it has in common: it is never changed, and a misspelt field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Label(Shape):
    """Words in both languages. A draft may lack one; what is published has both."""

    tr: Words = ""
    en: Words = ""


class Kind(StrEnum):
    """Kinds of answers."""

    choice = "choice"
    number = "number"
    date = "date"
    text = "text"
    yes_no = "yes_no"


class Choice(Shape):
    """One of the answers to choose from."""

    key: Key
    label: Label = Label()


class Question(Shape):
    """Something to ask. `least` and `most` bound a number; `choices` are there for a choice."""

    key: Key
    kind: Kind
    label: Label = Label()
    is_required: bool = True
    choices: tuple[Choice, ...] = Field((), max_length=50)
    least: Number | None = None
    most: Number | None = None


class Operator(StrEnum):
    """How an answer is compared. What was not answered meets no condition."""

    equals = "equals"
    differs = "differs"
    one_of = "one_of"
    at_least = "at_least"
    at_most = "at_most"
    answered = "answered"


class Condition(Shape):
    """A condition on the answer to one question. `values`: several for `one_of`, none for `answered`, else one."""

    question: Key
    operator: Operator = Operator.equals
    values: tuple[Value, ...] = Field((), max_length=50)


class Branch(Shape):
    """Where a step leads when all its conditions hold."""

    when: tuple[Condition, ...] = Field(min_length=1, max_length=10)
    to: Key


class End(Shape):
    """The end of a process, with the disposition it suggests for the call."""

    disposition: Code | None = None


class Step(Shape):
    """What to say and ask; the first branch that holds is taken, else `otherwise`, or the process ends here."""

    key: Key
    text: Label = Label()
    questions: tuple[Question, ...] = Field((), max_length=20)
    branches: tuple[Branch, ...] = Field((), max_length=20)
    otherwise: Key | None = None
    ends: End | None = None


class Definition(Shape):
    """A whole process. Questions have keys of their own throughout, so that an answer needs no step."""

    start: Key
    steps: tuple[Step, ...] = Field(min_length=1, max_length=MOST_STEPS)

    def step(self, key: str) -> Step:
        """Return the step of a key; of two the first.

        :raises KeyError: when there is none.
        """
        for each in self.steps:
            if each.key == key:
                return each
        raise KeyError(key)
