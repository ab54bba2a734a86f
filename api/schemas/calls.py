"""Calls as they travel: never a number, in neither direction."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from api.schemas import Body, Read
from crm.calls.known import Direction
from crm.calls.placing import Placed
from crm.calls.steps import Status
from crm.calls.story import Outcome
from crm.consent.rules import LABELS, Purpose

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]


class CallMake(Body):
    """What the call is for. Consent is asked for by it."""

    purpose: Purpose = Purpose.enquiry


class DialMake(CallMake):
    """Which lead is to be called."""

    lead_id: UUID


class CallMade(Read):
    """A call that was asked for: follow it by its id, on `/realtime` or by polling `/pbx/calls/{id}`.

    `expiresAt`: if nobody speaks by then, nobody will. There is no `dialUrl` as long as there is no soft phone: the
    agent's own telephone rings. A `denied` call says why, and when it may be tried again.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    call_id: UUID
    status: Status
    expires_at: datetime | None = None
    reason: str | None = None
    message: str | None = None
    not_before: datetime | None = None

    @classmethod
    def of(cls, placed: Placed, language: str) -> "CallMade":
        """Return what is answered, its sentence in a language."""
        reason = placed.answer.reason
        return cls(
            call_id=placed.call_id, status=placed.status, expires_at=placed.expires_at,
            reason=reason and f"consent.{reason.value}", message=reason and LABELS[reason][language],
            not_before=placed.answer.not_before,
        )  # fmt: skip


class StepRead(Read):
    """A status the call came into, and when."""

    status: Status
    at: datetime


class AskRead(Read):
    """Something that was asked of the exchange for the call, and what came of it."""

    id: UUID
    kind: str
    status: str
    failure: str | None
    asked_at: datetime
    answered_at: datetime | None


class CallRead(Read):
    """A call as it is now. Seconds are by the exchange's clock."""

    id: UUID
    direction: Direction
    purpose: str
    status: Status
    outcome: Outcome
    failure: str | None
    verdict: str | None
    lead_id: UUID | None
    contact_id: UUID | None
    agent_user_id: UUID | None
    queue: str | None
    campaign_id: UUID | None
    callback_id: UUID | None
    process_version_id: UUID | None
    requested_at: datetime
    expires_at: datetime | None
    started_at: datetime | None
    answered_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    ring_s: float | None
    talk_s: float
    held_s: float
    wrap_until: datetime | None
    disposition: str | None
    steps: list[StepRead]
    asks: list[AskRead]


class Mute(Body):
    """Whether the customer hears the agent."""

    is_muted: bool


class Tones(Body):
    """Tones to send."""

    digits: str = Field(min_length=1, max_length=32)


class Transfer(Body):
    """Whom the customer is given to, and whether the two speak first."""

    queue: Code | None = None
    agent_user_id: UUID | None = None
    is_attended: bool = False


class Invite(Body):
    """Which agent joins."""

    agent_user_id: UUID
