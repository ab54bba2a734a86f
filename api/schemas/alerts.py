"""What travels about alerts of the pipeline."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from api.schemas import Read


class AlertRead(Read):
    """A streak of failures that the person on duty was told of, and why in both languages."""

    id: UUID
    subject: str
    """The asset or step that fails, as Dagster names it: `raw/leads`, `lead_marts`."""
    owner: str
    severity: Literal["error", "warning"]
    failures: int
    sentence: str
    sentence_tr: str
    run_id: str | None
    raised_at: datetime
    last_at: datetime
    recovered_at: datetime | None
    is_open: bool


class AlertPage(BaseModel):
    """A page of alerts; the next one starts at `next_cursor`."""

    items: list[AlertRead]
    next_cursor: str | None
