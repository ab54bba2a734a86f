"""Which of a rule set's rules a lead meets. No database, no clock.

A cascade: rules that name a campaign are asked first, then those of an ad set, a keyword, a geography, then the rest,
each level in the order in which it was written; a lead that meets none goes to the team it came for, else to the
default.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from crm import names
from crm.routing.rulesets import CASCADE, Hold, RuleSet, When
from crm.routing.targets import Target


@dataclass(frozen=True)
class Demand:
    """What a rule asks for, ready to be decided by. `name` is the rule's."""

    name: str
    target: Target
    hold: Hold | None = None
    language: bool = True
    territory: bool = True


Test: TypeAlias = tuple[int, frozenset[str], tuple[str, ...], bool]


@dataclass(frozen=True)
class Compiled:
    """A rule set ready for use: rules in the order in which they are asked, values folded."""

    rules: tuple[tuple[tuple[Test, ...], Demand], ...]
    default: Demand | None
    hold: Hold | None = None

    def first(self, values: Sequence[str | tuple[str, ...] | None]) -> Demand | None:
        """Return what the first rule asks for that a lead with these values (in the cascade's order) meets."""
        in_queue = values[0] is not None
        for tests, demand in self.rules:
            for place, exact, beginnings, within in tests:
                value = values[place]
                if value is None or not _meets(value, exact, beginnings, within):
                    break
            else:
                if not in_queue or tests[0][0] == 0:
                    return demand
        return None


def _meets(value: str | tuple[str, ...], exact: frozenset[str], beginnings: tuple[str, ...], within: bool) -> bool:
    if isinstance(value, tuple):
        return any(_meets(each, exact, beginnings, within) for each in value)
    if value in exact or (beginnings and value.startswith(beginnings)):
        return True
    return within and any(f" {word} " in f" {value} " for word in exact)


NOTHING = Compiled((), None)
"""No rules: each lead goes to the team it came for, else to the firm's default team."""


def compile_rules(rules: RuleSet) -> Compiled:
    """Return a rule set ready for use."""
    found = []
    for place, rule in enumerate(rules.rules):
        tests = tuple(_tests(rule.when))
        demand = Demand(rule.name, rule.target, rule.hold or rules.hold, rule.language, rule.territory)
        found.append((tests[0][0], place, tests, demand))
    found.sort(key=lambda each: each[:2])
    last = rules.default
    default = last and Demand("default", last.target, last.hold or rules.hold, last.language, last.territory)
    return Compiled(tuple((tests, demand) for _, _, tests, demand in found), default or None, rules.hold)


def _tests(when: When) -> Iterator[Test]:
    for place, name in enumerate(CASCADE):
        values: list[str] | None = getattr(when, name)
        if values is not None:
            folded = [names.fold(value) for value in values]
            yield (
                place,
                frozenset(value for value in folded if not value.endswith("*")),
                tuple(value[:-1] for value in folded if value.endswith("*")),
                name == "keyword",
            )


@lru_cache(maxsize=4096)
def fold(value: str) -> str:
    """Return a value as rules compare it."""
    return names.fold(value)
