"""Contacts as they travel: masked."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.pages import CursorText, Limit
from api.schemas import Body, Line, Read
from api.schemas.leads import Country, LanguageTag, Number
from api.schemas.users import Email


class ContactCreate(Body):
    """A person entered by hand; something must be known of them."""

    name: Line | None = None
    phone: Number | None = None
    email: Email | None = None
    country: Country | None = None
    language: LanguageTag | None = None

    @model_validator(mode="after")
    def _is_somebody(self) -> "ContactCreate":
        if not (self.name or self.phone or self.email):
            raise ValueError("a name, a phone or an email is needed")
        return self


class ContactUpdate(Body):
    """What to change; what is not named stays, `null` takes a value away."""

    name: Line | None = None
    phone: Number | None = None
    email: Email | None = None
    country: Country | None = None
    language: LanguageTag | None = None


class ContactRead(Read):
    """One person, addresses masked."""

    id: UUID
    name: str
    country: str | None
    language: str | None
    phone_masked: str | None
    email_masked: str | None
    can_call: bool
    can_whatsapp: bool
    can_email: bool
    consented: list[str]
    opted_out: list[str]
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    merged_into: UUID | None = Field(None, description="The contact this one became part of; look there.")


class ContactPage(Read):
    """A page of contacts; `next_cursor` opens the one after it."""

    items: list[ContactRead]
    next_cursor: str | None


class ContactQuery(BaseModel):
    """Which contacts, in which order (`-id`: the latest stored first)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    q: Annotated[Line, StringConstraints(min_length=2, max_length=100)] | None = Field(
        None, description="The beginning of a name, or a whole phone number or e-mail address."
    )
    is_archived: bool | None = Field(False, description="Archived contacts are left out unless asked for.")
    sort: Literal["id", "-id"] = "-id"
    limit: Limit = 50
    cursor: CursorText = None


class Reveal(Body):
    """Why somebody needs to see what is hidden; kept in the audit log."""

    reason: Annotated[Line, StringConstraints(min_length=3)]


class RevealedRead(Read):
    """A contact's addresses in clear."""

    phone: str | None
    email: str | None
    others: list[str]


class RevealedNote(Read):
    """A note as it was written."""

    note: str
