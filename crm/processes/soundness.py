"""What is wrong with a process before it may be published: by field, in a sentence. No database, no clock.

An answer is given once in a call, so that whoever came to a step a second time would go round for ever: steps that
lead back are refused, whatever their conditions.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from crm.processes.answers import BadAnswer, checked
from crm.processes.definition import Condition, Definition, Kind, Label, Operator, Question, Step
from crm.processes.wording import KNOWN, PLACEHOLDER

Wrong = Iterator[tuple[str, str]]
After = Mapping[str, set[str]]
"""The steps that can be reached from each, itself among them."""

ORDERED = frozenset({Kind.number, Kind.date})
STRAY = re.compile(r"[{}]")


def wrong_with(definition: Definition) -> dict[str, str]:
    """Return what is wrong with a process, by field (`steps.offer.branches.0.to`); nothing when it can be published."""
    found: dict[str, str] = {}
    after = {step.key: _from(definition, step.key) for step in definition.steps}
    for field, why in (*_wrong_keys(definition), *_wrong_ways(definition, after), *_wrong_steps(definition, after)):
        found.setdefault(field, why)
    return found


def ways(step: Step) -> list[tuple[str, str]]:
    """Return where a step may lead: the field that says so, and the key of the step."""
    found = [(f"branches.{number}.to", branch.to) for number, branch in enumerate(step.branches)]
    return found if step.otherwise is None else [*found, ("otherwise", step.otherwise)]


def _wrong_keys(definition: Definition) -> Wrong:
    for key, times in Counter(step.key for step in definition.steps).items():
        if times > 1:
            yield f"steps.{key}.key", f"{times} steps are called so"
    asked = Counter(question.key for step in definition.steps for question in step.questions)
    for step in definition.steps:
        for question in step.questions:
            if asked[question.key] > 1:
                yield f"steps.{step.key}.questions.{question.key}.key", "asked more than once; each has its own key"


def _wrong_ways(definition: Definition, after: After) -> Wrong:
    keys = {step.key for step in definition.steps}
    if definition.start not in keys:
        yield "start", "no such step"
        return
    for step in definition.steps:
        for field, to in ways(step):
            if to not in keys:
                yield f"steps.{step.key}.{field}", "no such step"
        if step.otherwise is None and step.ends is None:
            yield f"steps.{step.key}.otherwise", "where to when no branch holds: name a step, or let it end"
        if step.otherwise is not None and step.ends is not None:
            yield f"steps.{step.key}.ends", "a step ends, or leads on; not both"
    for step in definition.steps:
        if step.key not in after[definition.start]:
            yield f"steps.{step.key}", "nothing leads here"
        elif any(step.key in after.get(to, ()) for _, to in ways(step)):
            yield f"steps.{step.key}", "leads back to itself: a call that came here twice would never end"


def _from(definition: Definition, start: str) -> set[str]:
    """Return the keys of the steps that can be reached from a step, itself among them."""
    leads = {step.key: [to for _, to in ways(step)] for step in reversed(definition.steps)}
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        key = ahead.pop()
        if key not in seen and key in leads:
            seen.add(key)
            ahead += leads[key]
    return seen


def _wrong_steps(definition: Definition, after: After) -> Wrong:
    questions = {question.key: (step.key, question) for step in definition.steps for question in step.questions}
    for step in definition.steps:
        at = f"steps.{step.key}"
        yield from _wrong_label(f"{at}.text", step.text)
        for question in step.questions:
            yield from _wrong_question(f"{at}.questions.{question.key}", question)
        for number, branch in enumerate(step.branches):
            for place, condition in enumerate(branch.when):
                field = f"{at}.branches.{number}.when.{place}"
                asked_at, asked = questions.get(condition.question, (None, None))
                if asked_at is None or asked is None:
                    yield f"{field}.question", "no such question"
                elif step.key not in after[asked_at]:
                    yield f"{field}.question", "is not asked before this step"
                else:
                    yield from _wrong_condition(field, condition, asked)


def _wrong_label(field: str, label: Label) -> Wrong:
    for language, text in (("tr", label.tr), ("en", label.en)):
        if not text.strip():
            yield f"{field}.{language}", "required"
        yield from ((f"{field}.{language}", why) for why in _wrong_placeholders(text))


def _wrong_placeholders(text: str) -> Iterable[str]:
    for name in PLACEHOLDER.findall(text):
        if name not in KNOWN:
            yield f"there is no {{{name}}}; known are {', '.join(KNOWN)}"
    if STRAY.search(PLACEHOLDER.sub("", text)):
        yield "a brace of its own: placeholders look like {contact.name}"


def _wrong_question(field: str, question: Question) -> Wrong:
    yield from _wrong_label(f"{field}.label", question.label)
    keys = [choice.key for choice in question.choices]
    if question.kind is Kind.choice and len(keys) < 2:
        yield f"{field}.choices", "at least two to choose from"
    if question.kind is not Kind.choice and keys:
        yield f"{field}.choices", "for a choice alone"
    if len(set(keys)) < len(keys):
        yield f"{field}.choices", "each its own key"
    for choice in question.choices:
        yield from _wrong_label(f"{field}.choices.{choice.key}.label", choice.label)
    if question.kind is not Kind.number and (question.least, question.most) != (None, None):
        yield f"{field}.least", "bounds are for numbers"
    if question.least is not None and question.most is not None and question.least > question.most:
        yield f"{field}.least", "more than most"


def _wrong_condition(field: str, condition: Condition, question: Question) -> Wrong:
    wanted = {Operator.answered: 0, Operator.one_of: None}.get(condition.operator, 1)
    if wanted is None and not condition.values:
        yield f"{field}.values", "at least one"
    elif wanted is not None and len(condition.values) != wanted:
        yield f"{field}.values", "none" if wanted == 0 else "exactly one"
    if condition.operator in (Operator.at_least, Operator.at_most) and question.kind not in ORDERED:
        yield f"{field}.operator", "only numbers and dates are more or less"
    if question.kind is Kind.text and condition.operator is not Operator.answered:
        yield f"{field}.operator", "what somebody says in their own words is only answered or not"
        return
    for value in condition.values:
        try:
            if checked(question, value) != value:
                yield f"{field}.values", f"written as {checked(question, value)}"
        except BadAnswer as error:
            yield f"{field}.values", str(error)
