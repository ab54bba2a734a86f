"""Disposing of a call in which the person wished to be called again: what was said and the promise, in one go."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from crm import errors
from crm.callbacks import operations
from crm.callbacks.operations import Request
from crm.callbacks.rules import Kind
from crm.calls import dispositions
from crm.calls.dispositions import Disposed
from crm.db import Tx

REFUSALS = (errors.Invalid, errors.NotAllowed, errors.Conflict, errors.NotFound)


@dataclass(frozen=True, slots=True)
class Wished:
    """What was said of a call, the callback that was promised, and why none was where one was wished for."""

    disposed: Disposed
    callback_id: UUID | None = None
    refusal: errors.CrmError | None = None


async def dispose(
    tx: Tx, call_id: UUID, code: str, *, note: str | None = None, callback_at: datetime | None = None, now: datetime
) -> Wished:
    """Say what came of a call (see `dispositions.dispose`) and promise the callback that was wished for.

    The call's own agent makes it, the call's queue where they do not take it. Where none may be promised, why is told;
    what was said of the call stays said.
    """
    done = await dispositions.dispose(tx, call_id, code, note=note, callback_at=callback_at, now=now)
    if callback_at is None or not done.is_new:
        return Wished(done)
    call = await tx.fetchrow(
        "select c.contact_id, c.lead_id, a.user_id as agent_user_id, q.code as queue from crm.call c"
        " left join crm.agent a on a.tenant_id = c.tenant_id and a.user_id = c.agent_user_id"
        " left join crm.queue q on q.tenant_id = c.tenant_id and q.code = c.queue and q.retired_at is null"
        " where c.tenant_id = $1::uuid and c.id = $2::uuid",
        tx.actor.tenant_id, call_id,
    )  # fmt: skip
    assert call is not None, "it has just been disposed of"
    wanted = Request(kind=Kind.agent, **call, promised_from=callback_at, evidence={"call_id": str(call_id)})
    await tx.execute("savepoint wish")
    try:
        return Wished(done, await operations.request(tx, wanted, now=now))
    except REFUSALS as refusal:  # an expected one: nothing of the promise stays, everything of the disposition does
        await tx.execute("rollback to savepoint wish")
        return Wished(done, refusal=refusal)
