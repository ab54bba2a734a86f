"""Connections to lead sources, and what arrived through them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from api.schemas import Body, Line, Read, without_nul
from crm.inbox.connections import Source

Secret = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=8, max_length=1000)]
Name = Annotated[str, StringConstraints(pattern="^[a-z_]{1,40}$")]
Question = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=200)]
Secrets = Annotated[
    dict[Name, Secret],
    Field(
        max_length=5,
        description="meta: app_secret, verify_token, access_token; google: google_key. They are never shown again.",
    ),
]
Consents = Annotated[
    dict[Question, Annotated[list[str], Field(max_length=4)]],
    Field(
        max_length=50,
        description="Which question of the forms (Meta's checkbox key, Google's column id) asks for which channels.",
    ),
]


class ConnectionCreate(Body):
    """A source whose webhooks are to be taken."""

    source: Source
    name: Line
    secrets: Secrets
    consents: Consents = Field(default_factory=dict)
    team_id: UUID | None = None


class ConnectionUpdate(Body):
    """What is to change; secrets replace those they name."""

    name: Line | None = None
    is_active: bool | None = None
    secrets: Secrets | None = None
    consents: Consents | None = None


class ConnectionRead(Read):
    """A connection without its secrets."""

    id: UUID
    source: Source
    name: str
    team_id: UUID | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class MessageStatus(StrEnum):
    """What became of a message: waiting for its turn or its next attempt, worked off, or given up."""

    pending = "pending"
    done = "done"
    failed = "failed"


class MessageRead(Read):
    """A message that arrived, without what it says. `last_error` is a code."""

    id: UUID
    connection_id: UUID
    source: Source
    status: MessageStatus
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    received_at: datetime
    processed_at: datetime | None


class MessagePage(Read):
    """A page of messages; `next_cursor` opens the one after it."""

    items: list[MessageRead]
    next_cursor: str | None


class Received(Read):
    """The message is stored, or was before; it is worked off by itself."""

    received: bool = True
