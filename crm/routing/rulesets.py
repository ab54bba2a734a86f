"""What a rule set says, typed and checked. No database, no clock."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field, ValidationError, model_validator

from crm import errors
from crm.routing.targets import Code, Minutes, Part, Target, Values


class BadRules(errors.Invalid):
    """These rules cannot be understood; `fields` says where."""

    code = "routing.rules_invalid"


class When(Part):
    """What a lead must have: each field named, and of each one of the values; letters' case and marks do not count.

    A value that ends in `*` is a beginning. A keyword is met when it stands within the lead's. `geography` is the
    lead's own or the person's country. `queue` names statuses that brought a lead to the administrators' queue.
    """

    queue: Values | None = None
    campaign: Values | None = None
    adset: Values | None = None
    keyword: Values | None = None
    geography: Values | None = None
    source: Values | None = None
    platform: Values | None = None
    form: Values | None = None
    language: Values | None = None

    @model_validator(mode="after")
    def _names_something(self) -> "When":
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("a rule names at least one condition; what meets none goes to the default")
        return self


CASCADE = tuple(When.model_fields)
"""The levels in their order; a rule stands on the first level that it names."""


class Hold(Part):
    """How long a lead waits for its target before the overflow team may take it, too."""

    minutes: Minutes
    overflow_team_id: UUID


class Rule(Part):
    """One rule. `language`, `territory`: whether the agent must speak the person's language, serve their region."""

    name: Code
    when: When
    target: Target
    hold: Hold | None = None
    language: bool = True
    territory: bool = True


class Default(Part):
    """Where a lead goes that meets no rule and came for no team."""

    target: Target
    hold: Hold | None = None
    language: bool = True
    territory: bool = True


class RuleSet(Part):
    """All of it. `hold` is for rules that have none of their own."""

    rules: list[Rule] = Field(default=[], max_length=1000)
    default: Default | None = None
    hold: Hold | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> "RuleSet":
        seen: set[str] = set()
        for rule in self.rules:
            if rule.name in seen or rule.name in RESERVED:
                raise ValueError(f"each rule has a name of its own: {rule.name}")
            seen.add(rule.name)
        return self


RESERVED = ("default", "default_team", "own_team", "handed_to_team", "queue", "no_team")
"""Names for what happens without a rule."""


def read(definition: Any) -> RuleSet:
    """Return a definition as sent or stored, checked.

    :raises BadRules: with the place of each mistake.
    """
    try:
        return RuleSet.model_validate(definition)
    except ValidationError as error:
        fields = {".".join(map(str, each["loc"])) or "definition": each["msg"] for each in error.errors()}
        raise BadRules(fields=fields) from error


def people_and_teams(rules: RuleSet) -> tuple[dict[UUID, str], dict[UUID, str]]:
    """Return the people and the teams that rules name, each with a place where they stand."""
    people: dict[UUID, str] = {}
    teams: dict[UUID, str] = {}

    def note(value: Any, place: str) -> None:
        if isinstance(value, Mapping):
            for name, each in value.items():
                if isinstance(each, UUID):
                    (people if name == "user_id" else teams).setdefault(each, f"{place}{name}")
                else:
                    note(each, f"{place}{name}.")
        elif isinstance(value, list):
            for n, each in enumerate(value):
                if isinstance(each, UUID):
                    teams.setdefault(each, f"{place}{n}")
                else:
                    note(each, f"{place}{n}.")

    note(rules.model_dump(), "")
    return people, teams
