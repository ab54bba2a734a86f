"""What ends with a cycle, or is undone with its sale; part of the operation that moves the lead."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from crm import events, timeline
from crm.db import Tx


async def withdraw_quotes(tx: Tx, row: asyncpg.Record, *, now: datetime) -> None:
    """Withdraw the open quote of a lead whose cycle ends: nobody can accept it any more."""
    quote = await tx.fetchval(
        "update crm.quote set status = 'withdrawn', decided_at = $3::timestamptz, decided_by = $4::uuid"
        " where tenant_id = $1::uuid and lead_id = $2::uuid and status = 'open' returning id",
        tx.actor.tenant_id, row["id"], now, tx.actor.user_id,
    )  # fmt: skip
    if quote:
        await trace(tx, row, "quote.withdrawn", {"quote_id": quote, "cycle_no": row["cycle_no"]}, now=now)


async def undo_sale(tx: Tx, row: asyncpg.Record, *, reason: str | None, now: datetime) -> None:
    """Cancel the sale of a lead that was won and is lost."""
    sale = await tx.fetchrow(
        "update crm.sale set cancelled_at = $4::timestamptz, cancel_reason = $5::text"
        " where tenant_id = $1::uuid and lead_id = $2::uuid and cycle_no = $3::int and cancelled_at is null"
        " returning id, amount_minor, currency, exponent",
        tx.actor.tenant_id, row["id"], row["cycle_no"], now, reason,
    )  # fmt: skip
    if sale:
        money = {name: sale[name] for name in ("amount_minor", "currency", "exponent")}
        told = {"sale_id": sale["id"], **money, "reason": reason, "cycle_no": row["cycle_no"]}
        await trace(tx, row, "lead.sale_cancelled", told, now=now)


async def trace(
    tx: Tx, row: asyncpg.Record, what: str, detail: Mapping[str, Any], *, note: str | None = None, now: datetime
) -> None:
    """Write timeline and event of something that happened to a lead; the operation around it writes the audit row."""
    await timeline.record(tx, row["contact_id"], what, at=now, lead_id=row["id"], detail=detail, note=note)
    await events.record(tx, "lead", row["id"], what, detail, at=now)
