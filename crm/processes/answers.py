"""What may be answered to a question, and how answers are compared. No database, no clock."""

from collections.abc import Callable, Mapping
from datetime import date

from crm import errors
from crm.processes.definition import Condition, Kind, Operator, Question, Value

LONGEST_TEXT = 2000
LARGEST_NUMBER = 99_999_999
"""Of either sign, where the question sets no bounds: what is longer may be a telephone number, which is text."""


class BadAnswer(errors.Invalid):
    """This is no answer to the question."""

    code = "process.answer_invalid"


def checked(question: Question, value: Value) -> Value:
    """Return an answer as it is kept: a choice's key, a number, a date as `2026-03-03`, text without blanks around it.

    :raises BadAnswer: when the question does not allow it; the sentence says what it does allow.
    """
    return CHECKS[question.kind](question, value)


def _choice(question: Question, value: Value) -> Value:
    keys = [choice.key for choice in question.choices]
    if value not in keys or not isinstance(value, str):
        raise BadAnswer(f"any of {', '.join(keys)}")
    return value


def _number(question: Question, value: Value) -> Value:
    if isinstance(value, bool | str):
        raise BadAnswer("a number")
    if question.least is not None and value < question.least:
        raise BadAnswer(f"at least {question.least}")
    if question.most is not None and value > question.most:
        raise BadAnswer(f"at most {question.most}")
    bound = max(LARGEST_NUMBER, *(abs(each) for each in (question.least, question.most) if each is not None), 0)
    if abs(value) > bound:
        raise BadAnswer(f"at most {bound}; a telephone number is text")
    return value


def _date(_: Question, value: Value) -> Value:
    try:
        return date.fromisoformat(value).isoformat()  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise BadAnswer("a day, as 2026-03-03") from error


def _text(_: Question, value: Value) -> Value:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TEXT:
        raise BadAnswer(f"text of at most {LONGEST_TEXT} characters")
    return value.strip()


def _yes_no(_: Question, value: Value) -> Value:
    if not isinstance(value, bool):
        raise BadAnswer("true or false")
    return value


CHECKS: dict[Kind, Callable[[Question, Value], Value]] = {
    Kind.choice: _choice,
    Kind.number: _number,
    Kind.date: _date,
    Kind.text: _text,
    Kind.yes_no: _yes_no,
}


def holds(condition: Condition, answers: Mapping[str, Value]) -> bool:
    """Tell whether answers (checked ones) meet a condition of a sound process; what is not answered meets none."""
    if condition.question not in answers:
        return False
    answer, values = answers[condition.question], condition.values
    match condition.operator:
        case Operator.answered:
            return True
        case Operator.equals:
            return answer == values[0]
        case Operator.differs:
            return answer != values[0]
        case Operator.one_of:
            return answer in values
        case Operator.at_least:
            return answer >= values[0]  # type: ignore[operator]  # both numbers, or both days in the order of their text
        case Operator.at_most:
            return answer <= values[0]  # type: ignore[operator]
