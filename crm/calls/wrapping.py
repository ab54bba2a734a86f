"""After a conversation: the agent's time to write it up, which begins by itself, may be made longer once, and ends.

While it lasts the agent gets no call. It ends with the disposition, and at `wrap_until` at the latest.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from crm import events, tenant_settings
from crm.agents import states
from crm.agents.rules import State
from crm.db import Tx

WRAP = tenant_settings.declare(
    "call.wrap_s",
    Annotated[int, Field(ge=0, le=3600)],
    60,
    tr="Görüşme sonrası işlem süresi (saniye)",
    en="Seconds an agent has to write up a call",
)
TOLD = (
    "lead_id", "contact_id", "agent_user_id", "campaign_id", "callback_id", "queue", "direction", "purpose", "outcome"
)  # fmt: skip
"""What events of a call hold of it."""

BEGIN = f"""
update crm.call
   set status = 'wrap_up', wrap_began_at = $3::timestamptz, wrap_until = $4::timestamptz, updated_at = $3::timestamptz,
       steps = steps || jsonb_build_array(jsonb_build_object('status', 'wrap_up', 'at', $3::timestamptz))
 where tenant_id = $1::uuid and id = $2::uuid and wrap_began_at is null and agent_user_id is not null
returning {", ".join(TOLD)}
"""


async def begin(tx: Tx, call: Mapping[str, Any], *, now: datetime) -> bool:
    """Begin the wrap-up of a call (a row of `crm.call`) that has ended and had an agent; return whether it did.

    Within the operation that hears of the end. A call that has been wrapped up, or had no agent, is left as it is.
    """
    wrap_s: int = await tenant_settings.value(tx, WRAP, at=now)
    until = now + timedelta(seconds=wrap_s)
    row = await tx.fetchrow(BEGIN, tx.actor.tenant_id, call["id"], now, until)
    if row is None:
        return False
    await states.move(tx, row["agent_user_id"], State.wrap_up, call_id=call["id"], until=until, now=now)
    await events.record(tx, "call", call["id"], "call.wrap_up", {**row, "wrap_until": until}, at=now)
    return True
