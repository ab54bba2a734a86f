"""Looking at queues, at who waits and waited in them, and at what supervisors do."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm.db import Tx
from crm.paging import Cursor
from crm.queues import settings
from crm.queues.actions import UnknownAction
from crm.queues.operations import UnknownQueue
from crm.sql import Args

QUEUES = """
select q.id, q.code, q.created_at, q.retired_at, v.settings, v.valid_from,
       (select min(n.valid_from) from crm.queue_version n where n.tenant_id = $1::uuid and n.queue_id = q.id
           and n.valid_from > $2::timestamptz) as planned_from
  from crm.queue q
 cross join lateral (
   select settings, valid_from from crm.queue_version v where v.tenant_id = $1::uuid and v.queue_id = q.id
      and v.valid_from <= $2::timestamptz order by v.valid_from desc, v.id desc limit 1
 ) v
 where q.tenant_id = $1::uuid and ($3::uuid is null or q.id = $3::uuid) and ($4::boolean or q.retired_at is null)
 order by q.code
"""


async def every(tx: Tx, *, with_retired: bool = False, at: datetime) -> list[dict[str, Any]]:
    """Return the queues by their codes, as they stand at an instant (UTC)."""
    rows = await tx.fetch(QUEUES, tx.actor.tenant_id, at, None, with_retired)
    firm = await settings.promise(tx, at=at)
    return [_shown(row, firm) for row in rows]


async def one(tx: Tx, queue_id: UUID, *, at: datetime) -> dict[str, Any]:
    """Return a queue as it stands at an instant (UTC), retired or not.

    :raises UnknownQueue: when there is none.
    """
    row = await tx.fetchrow(QUEUES, tx.actor.tenant_id, at, queue_id, True)
    if row is None:
        raise UnknownQueue
    return _shown(row, await settings.promise(tx, at=at))


def _shown(row: asyncpg.Record, firm: settings.Promise) -> dict[str, Any]:
    standing = settings.standing(row, firm)
    promised = {"sl_s": standing.sl_s, "short_s": standing.short_s, "sl_target": standing.sl_target}
    return {**row, "settings": standing.settings, "promised": promised}


async def history(tx: Tx, queue_id: UUID) -> list[asyncpg.Record]:
    """Return every setting of a queue, planned ones too, the latest first.

    :raises UnknownQueue: when there is none.
    """
    rows = await tx.fetch(
        "select settings, valid_from, set_by, created_at from crm.queue_version where tenant_id = $1::uuid"
        " and queue_id = $2::uuid order by valid_from desc, id desc limit 1000",
        tx.actor.tenant_id, queue_id,
    )  # fmt: skip
    if not rows:
        raise UnknownQueue
    return rows


VISIT = """v.call_id, v.visit_no, v.queue, v.queue_id, v.enqueued_at, v.left_at, v.connected_at, v.ended_at, v.wait_s,
  v.ring_s, v.talk_s, v.outcome, v.agent_user_id, v.missed, v.in_hours, v.is_historical, v.sl_s, v.short_s, v.sent_why,
  v.sent_to"""


async def visits(
    tx: Tx, *, queue: str | None = None, outcome: str | None = None, since: datetime | None = None,
    until: datetime | None = None, cursor: str | None = None, limit: int = 50,
) -> tuple[list[dict[str, Any]], str | None]:  # fmt: skip
    """Return stays in queues, the latest first, and where the next page begins; `until` is left out.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    place = Cursor.of("queue.visits", tx.actor, sort="-enqueued_at", filter=[queue, outcome, since, until])
    args = Args([tx.actor.tenant_id])
    wanted = ["v.tenant_id = $1::uuid"]
    for column, kind, sign, value in (
        ("v.queue", "text", "=", queue), ("v.outcome", "text", "=", outcome),
        ("v.enqueued_at", "timestamptz", ">=", since), ("v.enqueued_at", "timestamptz", "<", until),
    ):  # fmt: skip
        if value is not None:
            wanted.append(f"{column} {sign} {args.add(value, kind)}")
    if cursor:
        after = place.read(cursor, "timestamptz")
        wanted.append(f"(v.enqueued_at, v.call_id) < ({args.add(after.value, 'timestamptz')},"
                      f" {args.add(after.row_id, 'uuid')})")  # fmt: skip
    # Two stays of one call never begin at one instant, so that the call tells the rows of an instant apart.
    rows = await tx.fetch(
        f"select {VISIT} from crm.queue_visit v where {' and '.join(wanted)}"
        f" order by v.enqueued_at desc, v.call_id desc, v.visit_no desc limit {args.add(limit + 1, 'int')}",
        *args,
    )
    page = [dict(row) for row in rows[:limit]]
    following = place.sign(page[-1]["enqueued_at"], page[-1]["call_id"]) if len(rows) > limit else None
    return page, following


ACTION = """a.id, a.queue_id, a.kind, a.call_id, a.to_queue, a.way, a.priority, a.reason, a.began_at, a.began_by,
  a.until, a.ended_at, a.ended_by, a.end_reason"""


async def actions(tx: Tx, queue_id: UUID, *, limit: int = 100) -> list[asyncpg.Record]:
    """Return what supervisors did about a queue, the latest first.

    :raises UnknownQueue: when there is none.
    """
    if not await tx.fetchval(
        "select exists (select from crm.queue where tenant_id = $1::uuid and id = $2::uuid)",
        tx.actor.tenant_id, queue_id,
    ):  # fmt: skip
        raise UnknownQueue
    return await tx.fetch(
        f"select {ACTION} from crm.queue_action a where a.tenant_id = $1::uuid and a.queue_id = $2::uuid"
        " order by a.began_at desc, a.id desc limit $3::int",
        tx.actor.tenant_id, queue_id, limit,
    )  # fmt: skip


async def action(tx: Tx, action_id: UUID) -> dict[str, Any]:
    """Return one action.

    :raises UnknownAction: when there is none.
    """
    row = await tx.fetchrow(
        f"select {ACTION} from crm.queue_action a where a.tenant_id = $1::uuid and a.id = $2::uuid",
        tx.actor.tenant_id, action_id,
    )  # fmt: skip
    if row is None:
        raise UnknownAction
    return dict(row)
