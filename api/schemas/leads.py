"""Leads as they travel."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)  # fmt: skip

from api.schemas import Body, Line, Note, Read, without_nul
from api.schemas.users import Email
from crm.leads.rules import Channel, Direction, Status


def _in_our_time(value: datetime) -> datetime:
    if not 2000 <= value.year < 2100:
        raise ValueError("must lie between 2000 and 2100")
    return value


Instant = Annotated[AwareDatetime, AfterValidator(_in_our_time)]
Code = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9_.-]{0,59}$")]
Text = Annotated[str, BeforeValidator(without_nul), StringConstraints(max_length=2000)]
Number = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=40)]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
LanguageTag = Annotated[str, StringConstraints(pattern="^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
Tags = Annotated[list[Annotated[Line, StringConstraints(max_length=60)]], Field(max_length=50)]
Answers = Annotated[dict[Line, Text], Field(max_length=100)]


class ConsentGiven(Body):
    """What the person said about one channel, and how we know."""

    channel: Literal["call", "email", "sms", "whatsapp"]
    status: Literal["granted", "denied"]
    evidence: Answers = Field(default_factory=dict, description="Text of the form, the answer, the time.")


class LeadCreate(Body):
    """One enquiry. A phone or an e-mail is needed; both find the person when known already."""

    name: Annotated[Line | None, Field(description="The person's name, as given.")] = None
    phone: Number | None = Field(None, description="In any notation; without country code: of `country`, or Türkiye.")
    email: Email | None = None
    country: Country | None = None
    language: LanguageTag | None = None
    source: Code = Field("api", description="Where it comes from; with `external_id` it names the enquiry.")
    external_id: Line | None = Field(None, description="Your own id: the same one again stores nothing.")
    team_id: UUID | None = None
    platform: Code = "unknown"
    campaign: Line | None = None
    adset: Line | None = None
    ad: Line | None = None
    form: Line | None = None
    keyword: Line | None = None
    geography: Line | None = None
    click_ids: Annotated[dict[Code, Line], Field(max_length=20)] = Field(default_factory=dict)
    attributes: Answers = Field(default_factory=dict, description="What else the person answered.")
    tags: Tags = Field(default_factory=list)
    consents: Annotated[list[ConsentGiven], Field(max_length=20)] = Field(default_factory=list)
    acquired_at: Instant | None = Field(None, description="When the person asked, where the source knows it.")
    is_test: bool = False

    @model_validator(mode="after")
    def _can_be_answered(self) -> "LeadCreate":
        if not self.phone and not self.email:
            raise ValueError("a phone or an email is needed")
        return self


class LeadStored(Read):
    """What became of an enquiry: `created` (a new person), `merged` (a person we know), `unchanged` or `changed` (your
    `external_id` is stored already, with the same or with other content: nothing was written)."""

    id: UUID
    contact_id: UUID
    outcome: Literal["created", "merged", "unchanged", "changed"]
    status: Status
    is_duplicate: bool = Field(description="The same person asked within the last day.")
    phone_masked: str | None
    email_masked: str | None
    received_at: datetime


class LeadUpdate(Body):
    """What to change; what is not named stays."""

    tags: Tags | None = None
    attributes: Answers | None = None
    geography: Line | None = None
    keyword: Line | None = None
    note: Note | None = Field(None, description="For the timeline; numbers and addresses in it are hidden.")

    @model_validator(mode="after")
    def _lists_are_emptied_not_nulled(self) -> "LeadUpdate":
        for name in ("tags", "attributes"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} can be emptied, not null")
        return self


class StatusChange(Body):
    """Where the lead goes, and what that status asks for (`GET /leads/statuses`); `lost` asks for a reason."""

    status: Status
    reason: Code | None = Field(None, description="A code; what people write goes into `note`.")
    note: Note | None = None


class Assign(Body):
    """Into whose hands: a person, a team, or both."""

    user_id: UUID | None = None
    team_id: UUID | None = None
    reason: Code = "manual"


class ActivityCreate(Body):
    """A call, message, meeting or note. Calls and messages have a direction."""

    channel: Channel
    direction: Direction | None = None
    outcome: Code | None = None
    note: Note | None = None
    occurred_at: Instant | None = Field(None, description="Now, when not given.")


class Made(Read):
    """The id of what was stored."""

    id: UUID


class Named(Read):
    """Somebody or something of ours, by name."""

    id: UUID
    name: str


class LeadContact(Read):
    """The person behind a lead: addresses masked, and through which channels they can be reached."""

    id: UUID
    name: str
    phone_masked: str | None
    email_masked: str | None
    can_call: bool
    can_whatsapp: bool
    can_email: bool


class StatusLabel(Read):
    """A status: the code for machines, the label in the client's language."""

    code: Status
    label: str


class LeadRead(Read):
    """One lead. Instants are UTC."""

    id: UUID
    contact: LeadContact
    status: StatusLabel
    cycle_no: int
    loss_reason: str | None
    owner: Named | None
    team: Named | None
    source: str
    external_id: str | None
    platform: str
    campaign: str | None
    adset: str | None
    ad: str | None
    form: str | None
    keyword: str | None
    geography: str | None
    tags: list[str]
    attributes: dict[str, str]
    acquired_at: datetime
    acquired_at_known: bool
    received_at: datetime
    assigned_at: datetime | None
    first_attempt_at: datetime | None
    status_changed_at: datetime
    is_test: bool
    is_duplicate: bool
    import_id: UUID | None
    updated_at: datetime


class StatusInterval(Read):
    """A status a lead had: who set it, when, why, and until when it lasted."""

    status: Status
    label: str
    previous: Status | None
    reason: str | None
    cycle_no: int
    note: str | None
    actor: Named | None
    started_at: datetime
    ended_at: datetime | None


class AssignmentRead(Read):
    """Hands a lead was in: whose, since when, given by whom (nobody: distribution), and why."""

    id: UUID
    user: Named | None
    team: Named | None
    reason: str
    decision_id: UUID | None
    strategy: str | None
    decision_reasons: Any | None
    assigned_by: Named | None
    started_at: datetime
    ended_at: datetime | None


class AttachmentShown(Read):
    """A file of an activity; `/attachments/{id}/link` opens it. A health file's name is for those who may open it."""

    id: UUID
    class_: Literal["general", "identity", "health"] = Field(alias="class")
    name: str | None
    content_type: str
    size: int


class ActivityRead(Read):
    """Something that happened. Where `has_hidden_note`, the note as written can be revealed with a reason.

    `provider_reference`: the provider's own id of a call or message; a hash of it on WhatsApp, whose ids hold numbers.
    """

    id: UUID
    contact_id: UUID
    lead_id: UUID | None
    kind: str
    channel: str | None
    direction: str | None
    outcome: str | None
    detail: dict[str, Any]
    note: str | None
    has_hidden_note: bool
    provider_reference: str | None
    attachments: list[AttachmentShown]
    actor: Named | None
    occurred_at: datetime
    created_at: datetime


class TimelinePage(Read):
    """A page of a timeline, the newest first."""

    items: list[ActivityRead]
    next_cursor: str | None
