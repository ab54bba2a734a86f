"""Connections to lead sources, and what arrived through them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

from api.schemas import Body, Line, Read, without_nul
from crm.inbox.connections import Source
from crm.inbox.pulls import Kind as PullKind
from crm.inbox.tokens import Outlook

Secret = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=8, max_length=1000)]
Name = Annotated[str, StringConstraints(pattern="^[a-z_]{1,40}$")]
Question = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=200)]
Secrets = Annotated[
    dict[Name, Secret],
    Field(
        max_length=10,
        description=(
            "meta: app_secret, verify_token, access_token, and app_id to have the token looked after; google:"
            " google_key, and customer_id, developer_token, client_id, client_secret, refresh_token (login_customer_id)"
            " to ask the Ads API. They are never shown again."
        ),
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


class TokenRead(Read):
    """What is foreseen of a connection's token. `last_error` is a code."""

    outlook: Outlook
    expires_at: datetime | None
    checked_at: datetime | None
    last_error: str | None


class HealthRead(Read):
    """How a connection's source behaves: `is_failing` after an alert, until it answers again."""

    is_failing: bool
    failures: int
    failing_since: datetime | None
    last_error: str | None
    blocked_until: datetime | None


class QueueRead(Read):
    """Messages of a connection that are not leads yet: how many wait, since when the oldest does, how many were given
    up."""

    waiting: int
    oldest_at: datetime | None
    given_up: int


class ConnectionRead(Read):
    """A connection without its secrets. `reconciled_until`: everything its source told before that is in the inbox."""

    id: UUID
    source: Source
    name: str
    team_id: UUID | None
    is_active: bool
    token: TokenRead
    health: HealthRead
    inbox: QueueRead
    reconciled_until: datetime | None
    created_at: datetime
    updated_at: datetime


Form = Annotated[str, StringConstraints(pattern="^[0-9]{1,40}$")]


class BackfillCreate(Body):
    """Leads of a window of time to be asked for again; Meta is asked form by form, Google for all forms at once."""

    form: Form | None = None
    since: AwareDatetime
    until: AwareDatetime


class PullStatus(StrEnum):
    """How far a pull is."""

    running = "running"
    done = "done"
    failed = "failed"


class PullRead(Read):
    """Leads asked for again: how many the source told, were missing, were known. `last_error` is a code.

    `page`: the outside id of the page that the form belongs to, once its source was asked.
    """

    id: UUID
    connection_id: UUID
    kind: PullKind
    form: str | None
    page: str | None
    since: datetime
    until: datetime
    status: PullStatus
    attempts: int
    read: int
    landed: int
    known: int
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


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


Reason = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9_.-]{0,59}$")]


class ReplayMany(Body):
    """Which of the messages that were given up are to be worked off again; nothing named: all of them."""

    reason: Reason | None = None
    connection_id: UUID | None = None


class Replayed(Read):
    """How many messages are worked off again; a thousand at most in one call."""

    messages: int


class ReasonRead(Read):
    """Why messages were given up, and how many."""

    reason: str | None
    source: Source
    messages: int
    oldest_received_at: datetime


class MessagePage(Read):
    """A page of messages; `next_cursor` opens the one after it."""

    items: list[MessageRead]
    next_cursor: str | None


class Received(Read):
    """The message is stored, or was before; it is worked off by itself."""

    received: bool = True
