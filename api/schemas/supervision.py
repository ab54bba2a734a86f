"""Supervision of calls, as it travels."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas import Body, Read
from crm.calls.supervision import Mode, Notice

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]


class Supervise(Body):
    """Why one takes part."""

    reason: Code = Field(description="A code, kept in the audit log.", examples=["coaching"])


class SupervisionRead(Read):
    """Somebody who takes, or took, part in a call without being of it."""

    id: UUID
    call_id: UUID
    supervisor_id: UUID
    agent_user_id: UUID
    mode: Mode
    reason: str
    notice: Notice = Field(description="What the agent learns of it.")
    asked_at: datetime
    ended_at: datetime | None
