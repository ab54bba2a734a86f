"""Distribution: who takes leads, and why a lead went where it went."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.schemas import Body, Read


class MemberSet(Body):
    """How a person takes leads of a team."""

    weight: int = Field(1, ge=1, le=1000, description="Their share among those who have room.")
    capacity: int = Field(50, ge=0, le=100_000, description="The most open leads they may have in hand.")
    accepting: bool = True


class MemberRead(Read):
    """A person who takes leads of a team, with what they have in hand now."""

    team_id: UUID
    user_id: UUID
    name: str
    weight: int
    capacity: int
    accepting: bool
    is_active: bool
    open_leads: int
    updated_at: datetime


class Availability(Body):
    """Whether one takes new leads now."""

    accepting: bool


class DecisionRead(Read):
    """What was decided about a lead. The first reason is the outcome, the others how each person stood."""

    id: UUID
    lead_id: UUID
    team_id: UUID | None
    user_id: UUID | None
    strategy: str
    reasons: list[dict[str, Any]]
    decided_at: datetime
