"""After a conversation: the agent's time to write it up, which begins by itself, may be made longer once, and ends.

While it lasts the agent gets no call. It ends with the disposition, and at `wrap_until` at the latest.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from crm import audit, errors, events, tenant_settings
from crm.agents import states
from crm.agents.rules import State
from crm.calls import rows
from crm.db import Tx
from crm.operation import operation

WRAP = tenant_settings.declare(
    "call.wrap_s",
    Annotated[int, Field(ge=0, le=3600)],
    60,
    tr="Görüşme sonrası işlem süresi (saniye)",
    en="Seconds an agent has to write up a call",
)
EXTENSION = tenant_settings.declare(
    "call.wrap_extension_s",
    Annotated[int, Field(ge=0, le=3600)],
    60,
    tr="Görüşme sonrası işlem süresine bir kez eklenebilecek süre (saniye)",
    en="Seconds an agent may add to it once",
)


class NotWrapping(errors.Conflict):
    """This call is not being written up."""

    code = "call.not_wrapping"


class ExtendedAlready(errors.Conflict):
    """The time to write a call up is made longer once only."""

    code = "call.wrap_extended"


BEGIN = f"""
update crm.call
   set status = 'wrap_up', wrap_began_at = $3::timestamptz, wrap_until = $4::timestamptz, updated_at = $3::timestamptz,
       steps = steps || jsonb_build_array(jsonb_build_object('status', 'wrap_up', 'at', $3::timestamptz))
 where tenant_id = $1::uuid and id = $2::uuid and wrap_began_at is null and agent_user_id is not null
returning {", ".join(rows.TOLD)}
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
    await events.record(tx, "call", call["id"], "call.wrap_up", rows.payload(row, wrap_until=until), at=now)
    return True


async def leave(tx: Tx, user_id: UUID, call_id: UUID, *, now: datetime) -> None:
    """Let an agent who left a call that goes on with others write it up, without a disposition to be waited for."""
    wrap_s: int = await tenant_settings.value(tx, WRAP, at=now)
    until = now + timedelta(seconds=wrap_s)
    await states.move(tx, user_id, State.wrap_up, call_id=call_id, until=until, now=now)


@operation("call.dispose")
async def extend(tx: Tx, call_id: UUID, *, now: datetime) -> datetime:
    """Give oneself more time, once, for the call one is writing up; return until when (UTC).

    :raises rows.CallNotFound: when there is no such call of the actor's.
    :raises NotWrapping: when its wrap-up is over, or has not begun.
    :raises ExtendedAlready: the second time.
    """
    row = await rows.lock(tx, call_id)
    if row["agent_user_id"] is None or row["agent_user_id"] != tx.actor.user_id:
        raise rows.CallNotFound
    if row["status"] != "wrap_up" or row["wrap_until"] <= now:
        raise NotWrapping
    if row["wrap_extended_at"] is not None:
        raise ExtendedAlready
    more_s: int = await tenant_settings.value(tx, EXTENSION, at=now)
    until: datetime = row["wrap_until"] + timedelta(seconds=more_s)
    await tx.execute(
        "update crm.call set wrap_until = $3::timestamptz, wrap_extended_at = $4::timestamptz,"
        " updated_at = $4::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, call_id, until, now,
    )  # fmt: skip
    await states.move(tx, row["agent_user_id"], State.wrap_up, call_id=call_id, until=until, now=now)
    await events.record(tx, "call", call_id, "call.wrap_extended", rows.payload(row, wrap_until=until), at=now)
    await audit.of_person(tx, "call.wrap_extend", "call", call_id, {"wrap_until": until}, at=now)
    return until
