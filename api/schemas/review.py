"""What needs a person, and merges, as they travel: masked."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api.pages import CursorText, Limit
from api.schemas import Body, Read, without_nul
from api.schemas.contacts import ContactRead
from api.schemas.leads import Code, Instant
from crm.review.queries import MOST_COUNTED
from crm.review.rules import Kind

FieldName = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=300)]
FieldValue = Annotated[str, BeforeValidator(without_nul), StringConstraints(max_length=2000)]


class ReviewItem(Read):
    """One thing that needs a person. The rest says where it is: a row of an import, a connection, two contacts."""

    kind: Kind
    id: UUID
    at: datetime = Field(description="When it failed, or was found.")
    source: str
    reasons: list[str] = Field(description="Codes.")
    import_id: UUID | None = None
    row_no: int | None = Field(None, description="0 is the first row after the header.")
    connection_id: UUID | None = None
    attempts: int | None = None
    first_id: UUID | None = None
    second_id: UUID | None = None
    score: float | None = Field(None, description="How likely the two are one person, 0 to 1.")


class ReviewPage(Read):
    """A page of what needs a person; `next_cursor` opens the one after it."""

    items: list[ReviewItem]
    next_cursor: str | None


class ReviewFilter(BaseModel):
    """Which of what needs a person."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: list[Kind] = Field(default_factory=list)
    source: Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=100)] | None = None
    reason: Code | None = None
    import_id: UUID | None = None
    since: Instant | None = None
    until: Instant | None = Field(None, description="Left out itself.")


class ReviewQuery(ReviewFilter):
    """Which, and which page."""

    limit: Limit = 50
    cursor: CursorText = None


class ReviewCount(Read):
    """How many of one kind."""

    kind: Kind
    count: int = Field(description=f"Exact up to {MOST_COUNTED}.")
    is_more: bool = Field(description="Whether there are more than that.")


class ReviewField(Read):
    """One column of a row, or one value of a message by its dotted path; numbers and addresses hidden."""

    name: str
    value: str
    fault: str | None = Field(description="What is wrong with it.")


class ClearField(Read):
    """One column of a row, or one value of a message, as it came."""

    name: str
    value: str


class Resolution(Read):
    """What became of an item, once."""

    outcome: str
    reason: str | None
    lead_id: UUID | None
    fields: list[str] = Field(description="The fields that were given new values.")
    resolved_by: UUID | None
    resolved_by_name: str | None
    resolved_at: datetime


class Twin(ContactRead):
    """One of two contacts that may be one person."""

    leads: int


class ReviewRead(ReviewItem):
    """One item with all there is to see of it."""

    is_open: bool
    fault: str | None = Field(None, description="What is wrong with the whole.")
    fields: list[ReviewField] = Field(default_factory=list)
    history: list[Resolution] = Field(default_factory=list)
    contacts: list[Twin] = Field(default_factory=list)
    suggested_winner_id: UUID | None = None
    status: str | None = None
    dismissal_reason: str | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    merge_id: UUID | None = None


class Mend(Body):
    """New values of the fields at fault; those not named stay as they came."""

    values: dict[FieldName, FieldValue] = Field(min_length=0, max_length=200)


class Dismiss(Body):
    """Why nothing is to be done."""

    reason: Code


class MergeTwins(Body):
    """Which of the two stays."""

    winner_id: UUID


class OutcomeRead(Read):
    """What became of an item: a row is `created`, `merged`, `unchanged` or `changed`, a message `replayed`, two
    contacts `merged`, any `dismissed`."""

    outcome: str
    lead_id: UUID | None = None
    merge_id: UUID | None = None


class MergeCreate(Body):
    """Which contact stays, and which becomes part of it."""

    winner_id: UUID
    loser_id: UUID


class MergeRead(Read):
    """A merge: what became part of what, how many rows moved, by table, and whether it was undone."""

    id: UUID
    winner_id: UUID
    loser_id: UUID
    rows: dict[str, int] | None
    merged_by: UUID | None
    merged_by_name: str | None
    merged_at: datetime
    undone_by: UUID | None
    undone_by_name: str | None
    undone_at: datetime | None


def counts_of(found: dict[str, Any]) -> list[ReviewCount]:
    """Return counts as they travel."""
    return [
        ReviewCount(kind=Kind(kind), count=min(count, MOST_COUNTED), is_more=count > MOST_COUNTED)
        for kind, count in found.items()
    ]
