"""Consent as it travels: what people said, whom nobody contacts, and whether one may contact now."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.pages import CursorText, Limit
from api.schemas import Body, Line, Read
from api.schemas.leads import Answers, Code, Country, Instant, Named
from crm.consent.rules import Channel, LegalBasis, Purpose, Reason, Status

Address = Annotated[Line, StringConstraints(max_length=254)]


class ConsentCreate(Body):
    """What a person said about one channel and purpose, and how we know."""

    channel: Channel
    purpose: Purpose = Purpose.marketing
    status: Status
    source: Code = Field("manual", description="Where it was said: `phone`, `web_form`, `paper` …")
    evidence: Answers = Field(
        default_factory=dict, description="Text of the form, the answer, who heard it; needed for `granted`."
    )
    legal_basis: LegalBasis = LegalBasis.consent
    valid_from: Instant | None = Field(None, description="When they said it; now, when not given.")
    valid_until: Instant | None = Field(
        None, description="When a `granted` lapses; never, when not given. A no does not."
    )
    lead_id: UUID | None = None


class ConsentRead(Read):
    """One fact of the ledger. `withdraws`: the consent it takes back."""

    id: UUID
    contact_id: UUID
    channel: Channel
    purpose: Purpose
    status: Status
    legal_basis: LegalBasis
    source: str
    evidence: dict[str, Any]
    lead_id: UUID | None
    valid_from: datetime
    valid_until: datetime | None
    withdraws: UUID | None
    recorded_by: Named | None
    recorded_at: datetime


class EvidenceRead(Read):
    """What allows a contact: a fact of the ledger, or the person's own enquiry."""

    kind: Literal["consent", "lead"]
    id: UUID


class ReasonRead(Read):
    """Why not: the code for machines, the label in the client's language."""

    code: Reason
    label: str


class MayContact(Read):
    """Yes with its evidence, or no with the first reason and, where waiting helps, when it ends."""

    is_allowed: bool
    reason: ReasonRead | None
    evidence: EvidenceRead | None
    not_before: datetime | None


class CheckCreate(Body):
    """Who is about to be contacted how, and what for."""

    channel: Channel
    purpose: Purpose = Purpose.enquiry
    lead_id: UUID | None = None


class CheckMade(MayContact):
    """The answer, and the id under which it is kept."""

    id: UUID


class CheckRead(Read):
    """A check before a contact: who asked, and what the answer was."""

    id: UUID
    contact_id: UUID
    lead_id: UUID | None
    channel: Channel
    purpose: Purpose
    is_allowed: bool
    reason: Reason | None
    evidence: EvidenceRead | None
    actor: Named | None
    checked_at: datetime


class CheckPage(Read):
    """A page of checks; `next_cursor` opens the one after it."""

    items: list[CheckRead]
    next_cursor: str | None


class CheckQuery(BaseModel):
    """Which checks; the latest first."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    contact: Annotated[list[UUID], Field(max_length=50)] = []
    channel: Annotated[list[Channel], Field(max_length=4)] = []
    reason: Annotated[list[Reason], Field(max_length=10)] = []
    is_allowed: bool | None = None
    limit: Limit = 50
    cursor: CursorText = None


Kinds = Annotated[list[Literal["phone", "email"]], Field(min_length=1, max_length=2)]
Lines = Annotated[list[Annotated[str, StringConstraints(max_length=254)]], Field(min_length=1, max_length=10_000)]


class DncCreate(Body):
    """An address that nobody here contacts any more. Without country code a number is read as one of `country`."""

    address: Address = Field(description="A phone number or an e-mail address; kept unreadable.")
    country: Country = "TR"
    reason: Code = "asked"
    source: Code = "manual"


class DncContact(Body):
    """A contact whose addresses go on the list."""

    kinds: Kinds = Field(default_factory=lambda: ["phone", "email"])
    reason: Code = "asked"


class DncLookup(Body):
    """An address to look for on the list."""

    address: Address
    country: Country = "TR"


class DncFound(Read):
    """Whether an address is on the list, and under which entry."""

    is_listed: bool
    entry_id: UUID | None


class DncRemove(Body):
    """Why an address comes off the list."""

    reason: Code


class DncImport(Body):
    """Numbers and e-mail addresses to be put on the list."""

    addresses: Lines
    country: Country = "TR"
    reason: Code = "imported"
    source: Code


class DncImported(Read):
    """What became of a list; `rejected`: the lines, from 1, that are no address."""

    added: int
    known: int
    rejected: list[int]


class DncRead(Read):
    """One entry, masked."""

    id: UUID
    kind: Literal["phone", "email"]
    masked: str
    reason: str
    source: str
    added_by: Named | None
    added_at: datetime
    removed_by: Named | None
    removed_at: datetime | None
    removal_reason: str | None


class DncEntries(Read):
    """The entries that are new."""

    entries: list[UUID]


class DncPage(Read):
    """A page of the list; `next_cursor` opens the one after it."""

    items: list[DncRead]
    next_cursor: str | None


class DncQuery(BaseModel):
    """Which entries; the latest first."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[list[Literal["phone", "email"]], Field(max_length=2)] = []
    is_removed: bool | None = Field(False, description="Entries taken off are left out unless asked for.")
    limit: Limit = 50
    cursor: CursorText = None


Clock = Annotated[str, StringConstraints(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]


class WindowRead(Read):
    """On these days (1: Monday) from a time of the local day (inclusive) until another (exclusive)."""

    days: list[int]
    start: str
    end: str


class WindowSet(Body):
    """On these days (1: Monday) from a time of the local day (inclusive) until another (exclusive; 24:00: midnight)."""

    days: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(min_length=1, max_length=7)]
    start: Clock
    end: Clock


class HoursSet(Body):
    """When people of a country may be called, from a day on. No windows: never."""

    windows: Annotated[list[WindowSet], Field(max_length=21)]
    holidays: bool = Field(False, description="Whether public holidays are days like others.")
    valid_from: date


class HoursRead(Read):
    """Calling hours of a country from a day on; `own`: this firm's, not what comes along."""

    country: str
    valid_from: date
    windows: list[WindowRead]
    holidays: bool
    own: bool
