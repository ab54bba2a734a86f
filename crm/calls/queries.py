"""Looking at one call as it is now: for whoever waits for it, in a modal or on the wire. No number is here."""

from typing import Any
from uuid import UUID

from crm.calls import visible, wishes
from crm.calls.rows import CallNotFound, steps_of
from crm.db import Tx
from crm.sql import Args

COLUMNS = (
    "id, direction, purpose, status, outcome, failure, verdict, lead_id, contact_id, agent_user_id, queue, campaign_id,"
    " callback_id, process_version_id, requested_at, expires_at, started_at, answered_at, connected_at, ended_at,"
    " ring_s, talk_s, held_s, wrap_until, disposition"
)


async def read(tx: Tx, call_id: UUID) -> dict[str, Any]:
    """Return a call with its steps and what was asked of the exchange for it.

    :raises CallNotFound: when there is no such call for the actor.
    """
    args = Args()
    which = f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.id = {args.add(call_id, 'uuid')}"
    row = await tx.fetchrow(
        f"select {COLUMNS}, steps from crm.call c where {which} and {visible.condition(tx.actor, args)}", *args
    )
    if row is None:
        raise CallNotFound
    asks = [dict(ask) for ask in await wishes.latest(tx, call_id)]
    return {**row, "steps": steps_of(row), "asks": asks}
