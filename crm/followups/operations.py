"""Procedures and their sales.

Check-ins are scheduled in the transaction that sells the procedure or dates it, whichever comes second; a cancelled
sale takes those still pending with it.
"""

from datetime import date, datetime
from uuid import UUID

import asyncpg

from crm import audit, events, ids, timeline
from crm.db import Tx
from crm.followups import check_ins
from crm.leads import procedures, rows, sales
from crm.leads.quotes import CycleEnded
from crm.leads.rules import Status
from crm.money import Money
from crm.operation import operation

STORE = """
insert into crm.procedure as p (tenant_id, id, lead_id, cycle_no, type, takes_place_on, created_at, updated_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::int, $5::text, $6::date, $7::timestamptz, $7::timestamptz)
    on conflict (tenant_id, lead_id, cycle_no) do update
   set type = excluded.type, takes_place_on = excluded.takes_place_on, updated_at = excluded.updated_at
 where (p.type, p.takes_place_on) is distinct from (excluded.type, excluded.takes_place_on)
returning id
"""


@operation("followup.edit")
async def plan_procedure(
    tx: Tx, lead_id: UUID, *, procedure_type: str | None, takes_place_on: date | None, now: datetime
) -> None:
    """Say what will be done for a lead's person, and on which day (of the team's zone); None: not known (any more).

    Once the lead is won, a day schedules the check-ins after it; another day moves those still pending.

    :raises crm.leads.rows.LeadNotFound: when there is no such lead for the actor.
    :raises CycleEnded: when it is lost.
    :raises crm.leads.procedures.UnknownProcedure: when the type is not in the tenant's catalogue.
    """
    await procedures.require_known(tx, procedure_type, at=now)
    row = await rows.lock(tx, lead_id)
    if row["status"] == Status.lost:
        raise CycleEnded
    if not await _plan(tx, row, procedure_type, takes_place_on, now=now):
        tx.unchanged()
        return
    await audit.of_person(tx, "procedure.plan", "lead", lead_id, {"takes_place_on": takes_place_on}, at=now)


async def _plan(
    tx: Tx, row: asyncpg.Record, procedure_type: str | None, takes_place_on: date | None, *, now: datetime
) -> bool:
    """Keep the procedure of a locked lead's cycle and its check-ins; return whether there was anything to change."""
    stored = await tx.fetchval(
        STORE, tx.actor.tenant_id, ids.new(), row["id"], row["cycle_no"], procedure_type, takes_place_on, now
    )
    if stored is None:
        return False
    told = {"procedure_id": stored, "takes_place_on": takes_place_on, "cycle_no": row["cycle_no"]}
    await timeline.record(tx, row["contact_id"], "procedure.planned", at=now, lead_id=row["id"], detail=told)
    await events.record(tx, "lead", row["id"], "procedure.planned", told, at=now)
    if row["status"] == Status.won:
        await check_ins.keep(tx, row, stored, procedure_type, takes_place_on, now=now)
    return True


@operation("lead.status")
async def sell(
    tx: Tx,
    lead_id: UUID,
    money: Money | None,
    *,
    quote_id: UUID | None = None,
    procedure_type: str | None = None,
    takes_place_on: date | None = None,
    note: str | None = None,
    now: datetime,
) -> UUID:
    """Record a sale (`crm.leads.sales.record_sale`) and, where the day of the procedure is known, its check-ins.

    What was planned before stays where nothing else is said. Raises what `record_sale` and `plan_procedure` raise.
    """
    sale_id = await sales.record_sale(
        tx, lead_id, money, quote_id=quote_id, procedure_type=procedure_type, note=note, now=now
    )  # fmt: skip
    row = await rows.lock(tx, lead_id)
    sold_type = await tx.fetchval(
        "select procedure_type from crm.sale where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, sale_id
    )
    known = await tx.fetchrow(
        "select id, type, takes_place_on from crm.procedure"
        " where tenant_id = $1::uuid and lead_id = $2::uuid and cycle_no = $3::int",
        tx.actor.tenant_id, lead_id, row["cycle_no"],
    )  # fmt: skip
    kind = sold_type or (known and known["type"])
    day = takes_place_on or (known and known["takes_place_on"])
    changed = (kind or day) and await _plan(tx, row, kind, day, now=now)
    if known and not changed:
        await check_ins.keep(tx, row, known["id"], kind, day, now=now)
    return sale_id


@operation("lead.status")
async def cancel_sale(tx: Tx, lead_id: UUID, *, reason: str, note: str | None = None, now: datetime) -> None:
    """Undo a sale, and cancel the check-ins still pending in the same transaction.

    :raises crm.leads.rows.LeadNotFound: when there is no such lead for the actor.
    :raises crm.leads.sales.NothingSold: when it is not won.
    """
    await sales.cancel_sale(tx, lead_id, reason=reason, note=note, now=now)
    row = await rows.lock(tx, lead_id)
    await check_ins.cancel_pending(tx, row, now=now)
