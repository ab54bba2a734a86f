"""Timelines: what may be asked of them."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.pages import CursorText, Limit
from api.schemas.leads import Code
from crm.leads.rules import Channel, Direction


class TimelineQuery(BaseModel):
    """Which activities; a list matches any of its items."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[list[Code], Field(max_length=20)] = []
    channel: Annotated[list[Channel], Field(max_length=len(Channel))] = []
    direction: Annotated[list[Direction], Field(max_length=len(Direction))] = []
    has_attachments: bool | None = None
    limit: Limit = 50
    cursor: CursorText = None

    @property
    def filters(self) -> dict[str, Any]:
        """What narrows the timeline."""
        return self.model_dump(exclude={"limit", "cursor"})
