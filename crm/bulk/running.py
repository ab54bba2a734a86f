"""Doing a run: chunk by chunk, each one transaction with its verdicts: a kill loses nothing and doubles nothing."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import clock, db, errors, events, jobs
from crm.actor import Actor
from crm.bulk.operations import JOB, Change, ToStatus, change_of
from crm.db import Tx
from crm.leads import assigning, many
from crm.leads.assigning import Assignment
from crm.leads.many import DONE, NOT_VISIBLE, UNCHANGED
from crm.users import rules

NEXT = """
select c.chunk_no, c.lead_ids,
       not exists (select from crm.bulk_chunk o where o.tenant_id = c.tenant_id and o.bulk_id = c.bulk_id
                    and o.chunk_no > c.chunk_no) as is_last
  from crm.bulk_chunk c
 where c.tenant_id = $1::uuid and c.bulk_id = $2::uuid and c.verdicts is null
 order by c.chunk_no limit 1
"""
NOTE = """
with noted as (
  update crm.bulk_chunk set verdicts = $4::text[]
   where tenant_id = $1::uuid and bulk_id = $2::uuid and chunk_no = $3::int
)
update crm.bulk_run
   set done = done + $5::int, unchanged = unchanged + $6::int, refused = refused + $7::int,
       not_visible = not_visible + $8::int, status = case when $9::bool then 'done' else 'running' end,
       updated_at = $10::timestamptz, finished_at = case when $9::bool then $10::timestamptz end
 where tenant_id = $1::uuid and id = $2::uuid
returning done, unchanged, refused, not_visible
"""


@jobs.task(JOB)
async def work(actor: Actor, bulk_id: UUID) -> None:
    """Do what is left of a run."""
    while await step(actor, bulk_id, now=clock.utc_now()):
        pass


async def step(system: Actor, bulk_id: UUID, *, now: datetime) -> bool:
    """Do the next chunk as whoever asked for it, by what they may do now; return whether more may be left."""
    person = await db.run(system, lambda tx: _asker(tx, bulk_id))
    return await db.run(person, lambda tx: take_chunk(tx, bulk_id, now=now))


async def _asker(tx: Tx, bulk_id: UUID) -> Actor:
    """Return who asked for a run, with the roles and the team they have now; who has left may nothing."""
    row = await tx.fetchrow(
        "select u.id, u.team_id, case when u.is_active then u.roles else '{}' end as roles"
        " from crm.bulk_run b join crm.user_account u on u.tenant_id = b.tenant_id and u.id = b.requested_by"
        " where b.tenant_id = $1::uuid and b.id = $2::uuid",
        tx.actor.tenant_id, bulk_id,
    )  # fmt: skip
    assert row is not None, "a job is wanted in the transaction that stores its run"
    roles = frozenset(row["roles"])
    return Actor(
        tx.actor.tenant_id, row["id"], row["team_id"], roles, rules.permissions_of(roles), tx.actor.trace_id
    )  # fmt: skip


async def take_chunk(tx: Tx, bulk_id: UUID, *, now: datetime) -> bool:
    """Do the next chunk of a run with all its traces; return whether more may be left.

    The run's row is locked first: of two workers the second waits, and finds the chunk after.
    """
    run = await tx.fetchrow(
        "select action, wanted, status from crm.bulk_run where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, bulk_id,
    )  # fmt: skip
    assert run is not None, "a job is wanted in the transaction that stores its run"
    chunk = await tx.fetchrow(NEXT, tx.actor.tenant_id, bulk_id)
    if run["status"] not in ("queued", "running") or chunk is None:
        return False
    verdicts = await _verdicts(tx, change_of(run["action"], run["wanted"]), chunk["lead_ids"], now=now)
    await _note(tx, bulk_id, chunk, verdicts, now=now)
    return not chunk["is_last"]


async def _verdicts(tx: Tx, change: Change, lead_ids: Sequence[UUID], *, now: datetime) -> list[str]:
    """Return what became of each lead, in their order."""
    try:
        tx.actor.require_any(("lead.bulk",))
        if isinstance(change, ToStatus):
            became = await many.change_status_many(tx, lead_ids, change.status, reason=change.reason, now=now)
            return [became[lead] for lead in lead_ids]
        tx.actor.require(change.permission)
        seen = {row["id"] for row in await many.lock_many(tx, lead_ids)}
        wanted = [Assignment(lead, change.user_id, change.reason, change.team_id) for lead in lead_ids]
        given = set(await assigning.assign_many(tx, wanted, now=now))
    except errors.CrmError as refusal:  # nothing was written: both refuse before they change anything
        return [refusal.code] * len(lead_ids)
    return [DONE if lead in given else UNCHANGED if lead in seen else NOT_VISIBLE for lead in lead_ids]


async def _note(
    tx: Tx, bulk_id: UUID, chunk: asyncpg.Record, verdicts: Sequence[str], *, now: datetime
) -> None:  # fmt: skip
    counts = Counter(verdicts)
    known = [counts[DONE], counts[UNCHANGED], len(verdicts), counts[NOT_VISIBLE]]
    known[2] -= known[0] + known[1] + known[3]
    row = await tx.fetchrow(
        NOTE, tx.actor.tenant_id, bulk_id, chunk["chunk_no"], list(verdicts), *known, chunk["is_last"], now
    )  # fmt: skip
    if chunk["is_last"] and row is not None:
        await events.record(tx, "bulk", bulk_id, "bulk.finished", dict(row), at=now)
