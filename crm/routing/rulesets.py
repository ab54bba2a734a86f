"""What a rule set says, typed and checked, and which of its rules a lead meets. No database, no clock.

A cascade: rules that name a campaign are asked first, then those of an ad set, a keyword, a geography, then the rest,
each level in the order in which it was written; a lead that meets none goes to the team it came for, else to the
default.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from crm import errors, names


class BadRules(errors.Invalid):
    """These rules cannot be understood; `fields` says where."""

    code = "routing.rules_invalid"


def _without_nul(value: Any) -> Any:
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("must not contain a NUL character")
    return value


Text = Annotated[str, BeforeValidator(_without_nul), StringConstraints(min_length=1, max_length=200)]
Values = Annotated[list[Text], Field(min_length=1, max_length=500)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
Percent = Annotated[int, Field(ge=1, le=100)]
MONTH = 31 * 24 * 60
Minutes = Annotated[int, Field(ge=0, le=MONTH)]


class Part(BaseModel):
    """A part of a definition: unknown fields are refused, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class TeamTarget(Part):
    """A team's members, by their weights."""

    kind: Literal["team"] = "team"
    team_id: UUID


class AgentTarget(Part):
    """One agent."""

    kind: Literal["agent"] = "agent"
    user_id: UUID


class Share(Part):
    """One agent's or one team's percentage of a pool."""

    user_id: UUID | None = None
    team_id: UUID | None = None
    percent: Percent

    @property
    def holder(self) -> UUID:
        """Whose share it is."""
        holder = self.user_id or self.team_id
        assert holder is not None, "a share has a holder"
        return holder

    @model_validator(mode="after")
    def _one_holder(self) -> "Share":
        if (self.user_id is None) == (self.team_id is None):
            raise ValueError("a share is an agent's (user_id) or a team's (team_id)")
        return self


class PoolTarget(Part):
    """Agents or teams by percentages; the share of who is not able goes to the others in proportion."""

    kind: Literal["pool"] = "pool"
    shares: Annotated[list[Share], Field(min_length=1, max_length=500)]

    @property
    def is_of_teams(self) -> bool:
        """Whether its shares are teams'."""
        return self.shares[0].team_id is not None

    @model_validator(mode="after")
    def _is_a_whole(self) -> "PoolTarget":
        if sum(share.percent for share in self.shares) != 100:
            raise ValueError("the percentages do not make 100")
        holders = [share.holder for share in self.shares]
        if len(set(holders)) < len(holders):
            raise ValueError("each agent or team has one share")
        if len({share.user_id is None for share in self.shares}) > 1:
            raise ValueError("a pool is of agents or of teams")
        return self


class Ring(Part):
    """What is required after so many minutes of waiting."""

    after_minutes: Annotated[int, Field(ge=1, le=MONTH)]
    require: Annotated[dict[Code, Annotated[int, Field(ge=1, le=5)]], Field(max_length=20)]


class SkillsTarget(Part):
    """Agents of some teams (of all, when none is named) with the skills required, by their weights.

    `relax`: rings, each wider than the one before, for who has waited.
    """

    kind: Literal["skills"] = "skills"
    team_ids: Annotated[list[UUID], Field(max_length=100)] = []
    require: Annotated[dict[Code, Annotated[int, Field(ge=1, le=5)]], Field(min_length=1, max_length=20)]
    relax: Annotated[list[Ring], Field(max_length=10)] = []

    @model_validator(mode="after")
    def _widens(self) -> "SkillsTarget":
        before, since = self.require, 0
        for ring in self.relax:
            if ring.after_minutes <= since:
                raise ValueError("rings come in the order of their minutes")
            if any(level > before.get(skill, 0) for skill, level in ring.require.items()):
                raise ValueError("a ring requires no more than the one before it")
            before, since = ring.require, ring.after_minutes
        return self


Plain: TypeAlias = Annotated[TeamTarget | AgentTarget | PoolTarget | SkillsTarget, Field(discriminator="kind")]


class Variant(Part):
    """One side of an experiment: its share of the leads, and where they go."""

    name: Code
    share: Annotated[int, Field(ge=1, le=1_000_000)]
    target: Plain


class SplitTarget(Part):
    """An experiment: a lead's own id decides its side, always the same."""

    kind: Literal["split"] = "split"
    experiment: Code
    variants: Annotated[list[Variant], Field(min_length=2, max_length=10)]

    @model_validator(mode="after")
    def _sides_differ(self) -> "SplitTarget":
        if len({variant.name for variant in self.variants}) < len(self.variants):
            raise ValueError("each variant has its own name")
        return self


Target: TypeAlias = Annotated[
    TeamTarget | AgentTarget | PoolTarget | SkillsTarget | SplitTarget, Field(discriminator="kind")
]


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

    rules: Annotated[list[Rule], Field(max_length=1000)] = []
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


RESERVED = ("default", "default_team", "own_team", "handed_to_team", "queue")
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


@dataclass(frozen=True)
class Demand:
    """What a rule asks for, ready to be decided by. `name` is the rule's."""

    name: str
    target: Target
    hold: Hold | None = None
    language: bool = True
    territory: bool = True


Test = tuple[int, frozenset[str], tuple[str, ...], bool]


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


_KEYS: dict[int, tuple[Any, str]] = {}


def key_of(target: Plain) -> str:
    """Return the name of the pool whose turns a target takes: the same for the same definition, whatever the rule."""
    known = _KEYS.get(id(target))
    if known is None or known[0] is not target:
        if len(_KEYS) > 10_000:
            _KEYS.clear()
        known = _KEYS[id(target)] = (target, _key(target))
    return known[1]


def _key(target: Plain) -> str:
    if isinstance(target, TeamTarget):
        return f"team:{target.team_id}"
    if isinstance(target, AgentTarget):
        return f"agent:{target.user_id}"
    told = target.model_dump(mode="json", exclude={"relax"})
    return f"{target.kind}:{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]}"
