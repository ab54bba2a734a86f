"""One lead's row, held until the transaction ends, and the words every operation on leads checks first."""

from datetime import datetime
from uuid import UUID

import asyncpg

from crm import codes, errors, visibility
from crm.db import Tx
from crm.leads import lifecycle
from crm.leads.lifecycle import Machine
from crm.sql import Args


class LeadNotFound(errors.NotFound):
    """There is no such lead, or it is not yours to see."""

    code = "lead.not_found"


def require_code(field: str, value: str) -> None:
    """:raises crm.codes.NotACode: when a value is free text."""
    codes.require(**{field: value})


COLUMNS = (
    "l.id, l.contact_id, l.status, l.cycle_no, l.owner_id, l.team_id, l.status_changed_at, l.first_attempt_at, l.tags,"
    " l.attributes, l.geography, l.keyword"
)


async def lock(tx: Tx, lead_id: UUID) -> asyncpg.Record:
    """Return a visible lead's row, locked until the transaction ends.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    return await _lock(tx, lead_id, COLUMNS, Args())


async def lock_with_machine(tx: Tx, lead_id: UUID, *, now: datetime) -> tuple[asyncpg.Record, Machine]:
    """Return the same with the tenant's status machine of this instant, in one statement.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    args = Args()
    setting = lifecycle.SETTING.format(tenant="l.tenant_id", at=args.add(now, "timestamptz"))
    row = await _lock(tx, lead_id, f"{COLUMNS}, {setting} as lifecycle", args)
    return row, lifecycle.read(row["lifecycle"])


async def _lock(tx: Tx, lead_id: UUID, columns: str, args: Args) -> asyncpg.Record:
    which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(lead_id, 'uuid')}"
    row = await tx.fetchrow(
        f"select {columns} from crm.lead l where {which} and {visibility.condition(tx.actor, args)} for update of l",
        *args,
    )
    if row is None:
        raise LeadNotFound
    return row
