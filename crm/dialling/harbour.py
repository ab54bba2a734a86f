"""Whom nobody is free for: told so by a recorded message instead of being kept waiting, and counted as abandoned."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from crm import exchange
from crm.db import Tx
from crm.dialling import attempts, designs, leases
from crm.dialling.campaigns import get
from crm.exchange import Kind
from crm.operation import operation

CONTEXT = "announce"
"""Where the exchange plays the announcement that the extension names, and hangs up."""

ABANDON = """
update crm.dial_attempt a set is_abandoned = true
  from crm.call k
 where a.tenant_id = $1::uuid and a.campaign_id = $2::uuid and a.call_id in (select unnest($3::uuid[]))
   and not a.is_abandoned and a.resolved_at is null
   and k.tenant_id = $1::uuid and k.id = a.call_id and k.connected_at is null and k.ended_at is null
returning a.*
"""


@operation("dialling.run")
async def take_in(tx: Tx, campaign_id: UUID, call_ids: Iterable[UUID], holder: UUID, *, now: datetime) -> list[UUID]:
    """Give people who have waited too long for an agent the campaign's message; return their calls.

    Each is asked of the exchange once; who has an agent meanwhile, or has hung up, is left alone.

    :raises crm.dialling.leases.LeaseLost: when another dialer runs the campaign now.
    """
    await leases.require(tx, campaign_id, holder)
    design = designs.of_row(await get(tx, campaign_id))
    rows = await tx.fetch(ABANDON, tx.actor.tenant_id, campaign_id, list(call_ids))
    for row in rows:
        args = {"leg": str(row["call_id"]), "context": CONTEXT, "exten": design.safe_harbour}
        await exchange.ask(tx, Kind.redirect, args, call_id=row["call_id"], now=now)
        await attempts.tell(tx, row, "abandoned", now=now)
    if not rows:
        tx.unchanged()
    return [row["call_id"] for row in rows]
