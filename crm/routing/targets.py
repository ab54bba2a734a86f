"""Whom a rule may ask: a team, an agent, a pool with percentages, skills that relax, an experiment. No database."""

import hashlib
import json
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator


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
