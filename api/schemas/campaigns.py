"""Campaigns as they travel."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from api.schemas import Body, Line, Read
from crm.campaigns import CampaignStatus

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]
"""An identifier of another system's: letters, digits and a few signs."""


class CampaignCreate(Body):
    """A campaign under its platform's own id."""

    platform: Code
    external_id: Code
    name: Line
    status: CampaignStatus = CampaignStatus.active


class CampaignUpdate(Body):
    """What may be changed; what is left out stays."""

    name: Line | None = None
    status: CampaignStatus | None = None


class CampaignRead(Read):
    """One campaign."""

    id: UUID
    platform: str
    external_id: str
    name: str
    status: CampaignStatus
    created_at: datetime
    updated_at: datetime


class CampaignPage(Read):
    """A page of campaigns; the next one starts at `next_cursor`."""

    items: list[CampaignRead]
    next_cursor: str | None
