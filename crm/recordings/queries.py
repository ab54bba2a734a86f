"""Looking at what is known of recordings; listening is an operation, and audited."""

from typing import Any
from uuid import UUID

from crm.db import Tx


async def of_call(tx: Tx, call_id: UUID) -> list[dict[str, Any]]:
    """Return a call's recordings, those that were deleted too, the earliest first; the call is one the actor sees."""
    rows = await tx.fetch(
        "select id, duration_s, size, retention, recorded_at, stored_at, delete_after, held_at, hold_reason,"
        " deleted_at, deletion_reason from crm.recording where tenant_id = $1::uuid and call_id = $2::uuid"
        " order by stored_at, id limit 100",
        tx.actor.tenant_id, call_id,
    )  # fmt: skip
    return [dict(row) for row in rows]
