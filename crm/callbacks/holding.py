"""Virtual hold: a caller leaves the queue and keeps their place in it; the queue calls them when it is their turn."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from crm import consent, errors, ids, tenant_settings
from crm.callbacks import operations, rows, settings
from crm.callbacks.operations import INSERT, PURPOSE, NotCallable, Promised
from crm.callbacks.rules import UNSAID, Kind, Next, Status
from crm.consent import Answer, Channel
from crm.db import Tx
from crm.operation import operation
from crm.queues import sending
from crm.queues.rules import Way

LOOK_BACK = timedelta(days=2)
"""How far back a caller who chose to be called back is found when nobody heard of it then."""


class NotWaiting(errors.Conflict):
    """This caller does not wait in a queue now, or does not show a number to be called back at."""

    code = "callback.not_waiting"


@operation("callback.work")
async def hold(tx: Tx, call_id: UUID, *, now: datetime) -> UUID:
    """Let a caller who waits in a queue hang up and keep their place; return the callback's id, the same when repeated.

    The exchange tells them and lets them go; if an agent answers first, that was it.

    :raises NotWaiting: when nobody waits on that call, or their number is not known.
    :raises NotCallable: when this person may not be called.
    :raises Promised: when they are promised a callback from that queue already.
    """
    known = await _of_call(tx, call_id)
    if known is not None:
        tx.unchanged()
        return known
    waiting = await tx.fetch(sending.WAITING, tx.actor.tenant_id, call_id)
    if not waiting or waiting[0]["contact_id"] is None:
        raise NotWaiting
    caller = waiting[0]
    row, answer = await _insert(tx, call_id, caller["visit_no"], now=now)
    if answer.reason is not None and refuses(answer):
        raise NotCallable(fields={"reason": answer.reason.value})
    await sending.send(tx, caller, Way(to="callback"), "callback", now=now)
    return UUID(str(row["id"]))


VISIT = """
select k.contact_id, k.lead_id, v.queue, v.enqueued_at, v.left_at, coalesce(p.waits_since, v.enqueued_at) as place,
       coalesce(p.priority, 0) as priority
  from crm.queue_visit v
  join crm.call k on k.tenant_id = v.tenant_id and k.id = v.call_id
  left join crm.queue_place p on p.tenant_id = v.tenant_id and p.call_id = v.call_id
 where v.tenant_id = $1::uuid and v.call_id = $2::uuid and v.visit_no = $3::int
"""


async def _insert(tx: Tx, call_id: UUID, visit_no: int, *, now: datetime) -> tuple[asyncpg.Record, Answer]:
    """Store the promise to the caller of a visit, which inherits their place; return it with what the law says now.

    :raises Promised: when they are promised one from that queue already.
    """
    visit = await tx.fetchrow(VISIT, tx.actor.tenant_id, call_id, visit_no)
    assert visit is not None, "who waits is in a visit"
    await tx.execute(
        "select from crm.contact where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, visit["contact_id"],
    )  # fmt: skip
    await operations.require_unpromised(tx, visit["contact_id"], visit["queue"], None)
    window, patience = await tenant_settings.values(tx, settings.WINDOW_MINUTES, settings.PATIENCE_MINUTES, at=now)
    answer = await consent.may_contact(tx, visit["contact_id"], Channel.call, PURPOSE, at=now)
    begins = max(now, answer.not_before or now)
    ends = begins + timedelta(minutes=window)
    row = await tx.fetchrow(
        INSERT, tx.actor.tenant_id, ids.new(), visit["contact_id"], visit["lead_id"], Kind.hold.value,
        Status.requested.value, visit["queue"], None, call_id, visit["priority"], visit["place"], begins, ends, begins,
        ends + timedelta(minutes=patience), tx.actor.user_id, now,
    )  # fmt: skip
    assert row is not None, "what is inserted returns its row"
    await operations.tell_requested(tx, row, now=now)
    return row, answer


def refuses(answer: Answer) -> bool:
    """Tell whether a caller is not to be called back: what their own wish does not lift, and no waiting helps."""
    return answer.reason is not None and answer.reason not in UNSAID and answer.not_before is None


async def _schedule(tx: Tx, row: asyncpg.Record, answer: Answer, *, now: datetime) -> None:
    """Schedule a stored promise of somebody who has left the queue, their wish written down where it allows the call.

    Whom nothing may be said to fails at once: what was chosen at the telephone cannot be refused there any more.
    """
    if answer.reason is not None and refuses(answer):
        await rows.move(tx, row, Next(Status.failed, reason=f"consent.{answer.reason.value}"), now=now)
        return
    if answer.reason in UNSAID:
        await operations.note_wish(
            tx, row["contact_id"], row["lead_id"], Kind.hold, row["id"], row["expires_at"], None, now=now
        )
    await rows.move(tx, row, Next(Status.scheduled, row["due_at"]), now=now)


async def _of_call(tx: Tx, call_id: UUID) -> UUID | None:
    found: UUID | None = await tx.fetchval(
        "select id from crm.callback where tenant_id = $1::uuid and source_call_id = $2::uuid and kind = 'hold'",
        tx.actor.tenant_id, call_id,
    )  # fmt: skip
    return found


# A promise that was made before and held while they waited is as good as one of this call's own.
LEFT = """
select v.call_id
  from crm.queue_visit v
  join crm.call k on k.tenant_id = v.tenant_id and k.id = v.call_id and k.contact_id is not null
 where v.tenant_id = $1::uuid and v.outcome = 'callback' and not v.is_historical
   and v.enqueued_at > $2::timestamptz
   and not exists (select from crm.callback b where b.tenant_id = v.tenant_id and b.contact_id = k.contact_id
                      and (b.source_call_id = v.call_id
                           or b.queue = v.queue and (b.ended_at is null or b.ended_at > v.enqueued_at)))
 order by v.enqueued_at, v.call_id limit 100
"""


@operation("callback.fire")
async def adopt(tx: Tx, *, now: datetime) -> int:
    """Promise callers who left a queue to be called back what they chose; return how many.

    The queue's own rules send callers that way, too, without a word to us.
    """
    found = await tx.fetch(LEFT, tx.actor.tenant_id, now - LOOK_BACK)
    made = 0
    for row in found:
        made += await _keep(tx, row["call_id"], now=now)
    if not made:
        tx.unchanged()
    return made


async def _keep(tx: Tx, call_id: UUID, *, now: datetime) -> bool:
    visit_no = await tx.fetchval(
        "select max(visit_no) from crm.queue_visit where tenant_id = $1::uuid and call_id = $2::uuid"
        " and outcome = 'callback'",
        tx.actor.tenant_id, call_id,
    )  # fmt: skip
    try:
        row, answer = await _insert(tx, call_id, visit_no, now=now)
    except Promised:  # somebody else was quicker
        return False
    await _schedule(tx, row, answer, now=now)
    return True


# An agent who was quicker than the exchange has completed it: that shows as a conversation, and is found as one.
GONE = """
select b.* from crm.callback b
  join crm.call k on k.tenant_id = b.tenant_id and k.id = b.source_call_id
 where b.tenant_id = $1::uuid and b.status = 'requested' and b.kind = 'hold' and k.connected_at is null
   and (k.ended_at is not null
        or not exists (select from crm.queue_visit v where v.tenant_id = b.tenant_id
                          and v.call_id = b.source_call_id and v.outcome = 'waiting'))
 order by b.id limit 100 for update of b skip locked
"""


@operation("callback.fire")
async def schedule_gone(tx: Tx, *, now: datetime) -> int:
    """Schedule the callbacks of callers who have left the queue by now; return how many."""
    found = await tx.fetch(GONE, tx.actor.tenant_id)
    for row in found:
        answer = await consent.may_contact(tx, row["contact_id"], Channel.call, PURPOSE, at=now)
        await _schedule(tx, row, answer, now=now)
    if not found:
        tx.unchanged()
    return len(found)
