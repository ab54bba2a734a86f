"""Attachments as they travel; their content goes through links."""

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from api.schemas import Body, Read
from api.schemas.leads import Code
from crm.files.rules import Class


class AttachmentRead(Read):
    """One file on a timeline. The name of a health file is shown to those who may open it."""

    model_config = ConfigDict(from_attributes=True, serialize_by_alias=True)

    id: UUID
    contact_id: UUID
    lead_id: UUID | None
    activity_id: UUID
    class_: Class = Field(alias="class")
    name: str | None
    content_type: str
    size: int
    uploaded_by: UUID | None
    created_at: datetime


class AttachmentPage(Read):
    """A page of files; `next_cursor` opens the one after it."""

    items: list[AttachmentRead]
    next_cursor: str | None


class LinkRead(Read):
    """An address under which one person may open one file for a few minutes; each opening is written down."""

    url: str
    expires_at: datetime


class Deletion(Body):
    """Why a file is deleted; a code."""

    reason: Code
