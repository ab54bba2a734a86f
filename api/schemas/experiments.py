"""Experiments as they travel."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from api.schemas import Body, Read, without_nul
from api.schemas.profiles import Code
from crm.experiments.rules import LARGEST_SHARE, LONGEST_WINDOW, MOST_VARIANTS, Split, Status, Unit

Hypothesis = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=2000)]
EventType = Annotated[str, StringConstraints(pattern=r"^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$", max_length=80)]


class VariantBody(Body):
    """One way of doing it; with a team or a script, whatever is compared."""

    key: Code
    share: int = Field(1, ge=1, le=LARGEST_SHARE, description="Its part of the sum of all shares.")
    team_id: UUID | None = Field(None, description="When teams are compared: the one that leads go to.")
    script: Code | None = Field(None, description="When scripts are compared: the code of the one agents follow.")


class EventBody(Body):
    """An event of a lead that counts as a conversion."""

    event_type: EventType
    match: Annotated[dict[Code, Code], Field(max_length=5)] = Field(
        {}, description="What its payload must hold, as `{to: qualified}`."
    )


class DesignBody(Body):
    """What is to be found out, and how. The first variant is the control."""

    hypothesis: Hypothesis
    split: Split = Split.script
    unit: Unit = Field(
        Unit.lead, description="Each lead for itself, or a person with all their leads (by an event, not by a KPI)."
    )
    metric: Literal["conversion_rate", "event"] = Field("conversion_rate", description="A KPI, or a named event.")
    event: EventBody | None = None
    window_days: int = Field(
        90,
        ge=1,
        le=LONGEST_WINDOW,
        description="Days after the exposure within which the event counts; of a KPI its own, and no others.",
    )
    alpha: float = Field(
        0.05, ge=0.0001, le=0.5, description="How often, at most, it may show a difference where none is."
    )
    variants: list[VariantBody] = Field(min_length=2, max_length=MOST_VARIANTS)


class ExperimentCreate(DesignBody):
    """A new experiment."""

    key: Code


class ExperimentStop(Body):
    """How an experiment ends."""

    winner: Code | None = Field(None, description="The variant that whoever comes later gets; none: nobody gets one.")


class VariantRead(Read):
    """One variant."""

    key: str
    share: int
    team_id: UUID | None
    script: str | None


class EventRead(Read):
    """An event that counts as a conversion."""

    event_type: str
    match: dict[str, str]


class ExperimentRead(Read):
    """An experiment."""

    id: UUID
    key: str
    status: Status
    hypothesis: str
    split: Split
    unit: Unit
    metric: str
    event: EventRead | None
    window_days: int
    alpha: float
    variants: list[VariantRead]
    created_by: UUID | None
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    winner: str | None = Field(description="The variant that everybody gets since it was stopped.")


class BoundsRead(Read):
    """A difference of shares (variant − control), and the bounds that hold at every look."""

    estimate: float | None
    low: float
    high: float


class VariantReading(Read):
    """What became of one variant; what is compared is null for the control."""

    key: str
    share: int
    exposures: int | None
    conversions: int | None = Field(description="Converted so far, final or not; by a KPI: as it stands now.")
    decided: int | None = Field(description="Units whose outcome is final: their window is over.")
    decided_conversions: int | None
    rate: float | None = Field(description="decided_conversions / decided; null: nothing is decided.")
    difference: BoundsRead | None
    p_value: float | None = Field(description="Always valid: it may be looked at as often as one likes.")
    verdict: str | None
    sentence: dict[str, str] | None
    is_suppressed: bool = Field(
        description="Something is null because too few made it to be told to who sees no person."
    )


class ReadoutRead(Read):
    """What an experiment says at an instant."""

    as_of: datetime
    outcomes_as_of: datetime | None = Field(description="Up to when outcomes are known; null: no KPI is published yet.")
    alpha: float = Field(description="The level of each comparison.")
    variants: list[VariantReading]
    ratio_p_value: float | None
    ratio_verdict: str
    ratio_sentence: dict[str, str]


class LeadExperimentRead(Read):
    """An experiment that a lead is in, and the variant it got."""

    experiment_id: UUID
    key: str
    status: Status
    split: Split
    variant: str
    script: str | None
    team_id: UUID | None
    exposed_at: datetime
