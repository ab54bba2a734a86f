"""Dialling campaigns as they travel. Nobody's number is in them; `caller_id` is the firm's own."""

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.schemas import Body, Line, Read
from api.schemas.calendars import HoursOfWeek, Zone
from api.schemas.lead_lists import FilterText
from api.schemas.profiles import Code
from crm.consent.rules import Purpose
from crm.dialling import designs, schedule
from crm.dialling.designs import LEGAL_CAP, LONGEST_COOL_DOWN, LONGEST_RING_S, Design
from crm.dialling.loading import MOST
from crm.dialling.queries import Campaign
from crm.dialling.rules import DEFAULT_RETRY, SHORTEST_RING_S, Again, Ending, Mode, Retry, State, Status
from crm.filtering import MOST_FILTERS

CallerId = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
TryableEnding = Literal[
    Ending.abandoned, Ending.voicemail, Ending.busy, Ending.no_answer, Ending.rejected, Ending.congestion,
    Ending.invalid, Ending.failed, Ending.no_agent, Ending.unsent,
]  # fmt: skip
LONGEST_S = int(LONGEST_COOL_DOWN.total_seconds())


class AgainBody(Body):
    """When a lead is tried again after one kind of ending."""

    cool_down_s: int = Field(ge=30, le=LONGEST_S, description="Seconds before the next try.")
    most: int = Field(ge=1, le=100, description="Attempts that may end so, before the lead is given up.")


class RetryBody(Body):
    """A retry strategy. An ending that is not named ends the lead."""

    most: int = Field(DEFAULT_RETRY.most, ge=1, le=100, description="Attempts of a lead in all.")
    after: dict[TryableEnding, AgainBody] = Field(
        default_factory=lambda: {
            ending: AgainBody(**again)  # type: ignore[misc]
            for ending, again in designs.stored_retry(DEFAULT_RETRY)["after"].items()
        }
    )

    def as_retry(self) -> Retry:
        """Return it as the business takes it."""
        after = {
            Ending(ending): Again(timedelta(seconds=again.cool_down_s), again.most)
            for ending, again in self.after.items()
        }
        return Retry(self.most, MappingProxyType(after))


class DesignBody(Body):
    """How a campaign dials."""

    name: Line
    mode: Mode
    timezone: Zone = Field("Europe/Istanbul", description="Its own clock: of its windows and of its days.")
    purpose: Purpose = Field(Purpose.enquiry, description="What people are called for; consent is asked by it.")
    queue: Code | None = Field(None, description="Where answered calls go; needed when calls begin by themselves.")
    caller_id: CallerId | None = Field(None, description="The number shown, of the firm; null: the exchange's own.")
    cap: float = Field(LEGAL_CAP, ge=0.001, le=LEGAL_CAP, description="Of live answers, the share without an agent.")
    ring_s: int = Field(25, ge=SHORTEST_RING_S, le=LONGEST_RING_S, description="Seconds a telephone rings.")
    detects_machines: bool = Field(False, description="Whether answering machines are told from people.")
    on_machine: Literal["hang_up", "leave_message"] = "hang_up"
    machine_message: Code | None = Field(None, description="The announcement left on machines.")
    safe_harbour: Code = Field("safe-harbour", description="The announcement for whom nobody is free.")
    power_ratio: float = Field(1.5, ge=1, le=10, description="Calls for each ready agent, in mode power.")
    calls_per_s: Annotated[float, Field(ge=0.01, le=1000)] | None = None
    most_lines: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="Calls at once, all told.")
    windows: Annotated[list[HoursOfWeek], Field(max_length=schedule.MOST_WINDOWS)] = Field(
        [], description="When it dials, by its own clock; none: whenever the people may be called."
    )
    retry: RetryBody = Field(default_factory=RetryBody)
    lock_out_h: int = Field(72, ge=1, le=2160, description="Hours without a call after an abandonment.")
    preview_s: int = Field(60, ge=5, le=3600, description="Seconds an agent has to look at a lead, in mode preview.")
    team_id: UUID | None = Field(None, description="Whose agents work it by hand; null: anybody's.")

    def as_design(self) -> Design:
        """Return it as the business takes it."""
        plain = self.model_dump(exclude={"windows", "retry", "code"})
        windows = tuple(each.as_hours(each.weekday) for each in self.windows)
        return Design(**plain, windows=windows, retry=self.retry.as_retry())


class CampaignCreate(DesignBody):
    """A new campaign."""

    code: Code


class CampaignRead(Read):
    """A dialling campaign: its design, where it is, and how many of its leads are in which state."""

    id: UUID
    code: str
    status: Status
    status_at: datetime
    status_reason: str | None
    name: str
    mode: Mode
    timezone: str
    purpose: Purpose
    queue: str | None
    caller_id: str | None
    cap: float
    ring_s: int
    detects_machines: bool
    on_machine: str
    machine_message: str | None
    safe_harbour: str
    power_ratio: float
    calls_per_s: float | None
    most_lines: int | None
    windows: list[HoursOfWeek]
    retry: RetryBody
    lock_out_h: int
    preview_s: int
    team_id: UUID | None
    override_reason: str | None = Field(description="Why it dials predictively though nothing foretells that it may.")
    overridden_by: UUID | None
    overridden_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    leads: dict[State, int] = Field(description="Leads by their state in the hopper.")
    calls: int = Field(description="Calls under way.")
    is_run: bool = Field(description="Whether a dialer runs it now.")

    @classmethod
    def of_campaign(cls, found: Campaign) -> "CampaignRead":
        """Return a campaign as it travels."""
        designed: dict[str, Any] = {name: getattr(found.design, name) for name in designs.FIELDS}
        designed["windows"] = [HoursOfWeek.of(each) for each in schedule.stored(found.design.windows)]
        designed["retry"] = designs.stored_retry(found.design.retry)
        held = {name: found.row[name] for name in cls.model_fields if name in found.row.keys()}  # noqa: SIM118
        counts = {"leads": dict(found.states), "calls": found.calls, "is_run": found.is_run}
        return cls.model_validate({**held, **designed, **counts})


class CampaignItem(Read):
    """A campaign in a list."""

    id: UUID
    code: str
    name: str
    mode: Mode
    status: Status
    queue: str | None
    created_at: datetime
    started_at: datetime | None
    status_at: datetime


class CampaignPage(Read):
    """A page of campaigns; `next_cursor` opens the one after it."""

    items: list[CampaignItem]
    next_cursor: str | None


class StartBody(Body):
    """Starting, with a reason when a predictive campaign starts though nothing foretells that it keeps the cap."""

    override: Code | None = None


class ReasonBody(Body):
    """Why, as a code."""

    reason: Code


class LoadBody(Body):
    """The leads that go into a campaign: listed, or all that match filters at this moment."""

    lead_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST)] | None = None
    filter: Annotated[list[FilterText], Field(min_length=1, max_length=MOST_FILTERS)] | None = None
    priority: int = Field(0, ge=-1000, le=1000, description="The higher, the sooner.")

    @model_validator(mode="after")
    def _says_which(self) -> "LoadBody":
        if (self.lead_ids is None) == (self.filter is None):
            raise ValueError("name the leads either by lead_ids or by filter")
        return self


class LoadedRead(Read):
    """What became of the leads asked for."""

    added: int
    known: int = Field(description="In the campaign already; those excluded are asked anew.")
    left_out: int = Field(description="Closed, or for trying things out.")
