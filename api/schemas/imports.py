"""Imports as they travel."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from api.schemas import Read


class ImportRead(Read):
    """One import: read = created (new people) + merged (known ones, or a known lead with news) + unchanged + rejected.

    `read` tells how far it is; `unmapped` counts values of status columns that the mapping does not know.
    """

    id: UUID
    source: str
    file_name: str
    status: Literal["queued", "running", "done", "failed"]
    is_dry_run: bool
    read: int
    created: int
    merged: int
    unchanged: int
    rejected: int
    unmapped: dict[str, dict[str, int]]
    last_error: str | None
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    report: str | None

    @classmethod
    def of(cls, row: Any) -> "ImportRead":
        """Return the model of a database row; `report` is the address of the rejected rows, where there are any."""
        report = f"/import/{row['id']}/report" if row["rejected"] else None
        return cls.model_validate({**row, "unmapped": row["notes"].get("unmapped", {}), "report": report})


class ImportPage(Read):
    """A page of imports, the latest first; the next one starts at `next_cursor`."""

    items: list[ImportRead]
    next_cursor: str | None
