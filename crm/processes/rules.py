"""Walking a process: which step comes next for the answers given. Pure; ends for every sound process."""

from collections.abc import Mapping
from dataclasses import dataclass

from crm.processes.answers import BadAnswer, checked, holds
from crm.processes.definition import Definition, End, Step, Value


@dataclass(frozen=True, slots=True)
class Walk:
    """How far answers lead.

    `path`: the steps in their order, the one that waits last. `at`: the step that waits for answers, None at the end.
    `kept`: the answers to questions that were asked on the way. `dropped`: keys of those that were not.
    """

    path: tuple[Step, ...]
    at: Step | None
    end: End | None
    kept: Mapping[str, Value]
    dropped: tuple[str, ...]


def next_step(definition: Definition, step: Step, answers: Mapping[str, Value]) -> Step | End:
    """Return where a step of a sound process leads with these answers (checked ones), whether or not it waits."""
    for branch in step.branches:
        if all(holds(condition, answers) for condition in branch.when):
            return definition.step(branch.to)
    if step.otherwise is not None:
        return definition.step(step.otherwise)
    return step.ends or End()


def walk(definition: Definition, answers: Mapping[str, Value | None]) -> Walk:
    """Return how far answers lead through a sound process; None is no answer, and optional questions hold nobody up.

    Answers to questions off the path are dropped: they were given to a script that took another turn.

    :raises BadAnswer: when an answer on the path is none to its question, or a question does not exist; `fields` says
        which.
    """
    given = {key: value for key, value in answers.items() if value is not None}
    _require_known(definition, given)
    kept: dict[str, Value] = {}
    path: list[Step] = []
    ahead: Step | End = definition.step(definition.start)
    while isinstance(ahead, Step):
        path.append(ahead)
        kept |= _answered(ahead, given)
        if any(question.is_required and question.key not in kept for question in ahead.questions):
            return Walk(tuple(path), ahead, None, kept, _dropped(given, kept))
        ahead = next_step(definition, ahead, kept)
    return Walk(tuple(path), None, ahead, kept, _dropped(given, kept))


def _require_known(definition: Definition, given: Mapping[str, Value]) -> None:
    known = {question.key for step in definition.steps for question in step.questions}
    if unknown := [key for key in given if key not in known]:
        raise BadAnswer("there is no such question", fields={f"answers.{key}": "no such question" for key in unknown})


def _answered(step: Step, given: Mapping[str, Value]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    wrong: dict[str, str] = {}
    for question in step.questions:
        if question.key in given:
            try:
                found[question.key] = checked(question, given[question.key])
            except BadAnswer as error:
                wrong[f"answers.{question.key}"] = str(error)
    if wrong:
        raise BadAnswer(fields=wrong)
    return found


def _dropped(given: Mapping[str, Value], kept: Mapping[str, Value]) -> tuple[str, ...]:
    return tuple(sorted(set(given) - set(kept)))
