"""Where a lead came from, completed later by a source that tells more than it told at first."""

from datetime import datetime
from uuid import UUID

from crm import audit, events
from crm.db import Tx
from crm.operation import operation


@operation("lead.edit")
async def complete(
    tx: Tx, lead_id: UUID, *, keyword: str | None = None, geography: str | None = None, now: datetime
) -> None:
    """Fill in what nobody knew yet of a lead's origin; what is known stays as it is."""
    row = await tx.fetchrow(
        "select keyword, geography from crm.lead where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, lead_id,
    )  # fmt: skip
    told = {"keyword": keyword, "geography": geography}
    fresh = {name: value for name, value in told.items() if row and value and row[name] is None}
    if not fresh:
        tx.unchanged()
        return
    await tx.execute(
        """update crm.lead set keyword = coalesce(keyword, $3::text), geography = coalesce(geography, $4::text),
                  updated_at = $5::timestamptz
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, lead_id, keyword, geography, now,
    )  # fmt: skip
    await events.record(tx, "lead", lead_id, "lead.updated", {"fields": sorted(fresh), "has_note": False}, at=now)
    await audit.of_person(tx, "lead.update", "lead", lead_id, {"fields": sorted(fresh)}, at=now)
