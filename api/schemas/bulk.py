"""Changes to many leads as they travel."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from api.schemas import Body, Read
from api.schemas.lead_lists import FilterText
from api.schemas.leads import Code
from crm.bulk.operations import MOST
from crm.filtering import MOST_FILTERS
from crm.leads.rules import Status


class BulkCreate(Body):
    """A change of status or hands, for the leads listed or for those that match filters at this moment."""

    action: Literal["status", "assign"]
    lead_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST)] | None = None
    filter: Annotated[list[FilterText], Field(min_length=1, max_length=MOST_FILTERS)] | None = None
    status: Status | None = None
    user_id: UUID | None = None
    team_id: UUID | None = None
    reason: Code | None = None

    @model_validator(mode="after")
    def _says_what_and_which(self) -> "BulkCreate":
        if (self.lead_ids is None) == (self.filter is None):
            raise ValueError("name the leads either by lead_ids or by filter")
        if (self.status is not None) != (self.action == "status"):
            raise ValueError("status goes with the action status, and with no other")
        if (self.user_id or self.team_id) and self.action != "assign":
            raise ValueError("user_id and team_id go with the action assign")
        if self.action == "assign" and not (self.user_id or self.team_id):
            raise ValueError("assign needs a user_id, a team_id or both")
        return self


class BulkRead(Read):
    """How far a run is. `processed` of `total` leads have their verdict."""

    id: UUID
    action: Literal["status", "assign"]
    wanted: dict[str, Any] = Field(description="The status or the hands, and the reason: ids and codes.")
    status: Literal["queued", "running", "done", "cancelled"]
    total: int
    processed: int
    done: int
    unchanged: int
    refused: int
    not_visible: int
    requested_by: UUID
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class BulkPage(Read):
    """A page of runs, the newest first."""

    items: list[BulkRead]
    next_cursor: str | None
