"""Looking at bulk runs: how far they are, what became of each lead. One sees one's own; who sees all leads, all."""

from collections.abc import Iterator
from uuid import UUID

import asyncpg

from crm.bulk.operations import RunNotFound
from crm.db import Tx
from crm.leads.many import DONE, NOT_VISIBLE, UNCHANGED

RUN = """
select id, action, wanted, status, total, done, unchanged, refused, not_visible,
       done + unchanged + refused + not_visible as processed, requested_by, created_at, updated_at, finished_at
  from crm.bulk_run where tenant_id = $1::uuid and ($3::bool or requested_by = $2::uuid)
"""


async def get(tx: Tx, bulk_id: UUID) -> asyncpg.Record:
    """Return one run.

    :raises RunNotFound: when there is no such run for the actor.
    """
    row = await tx.fetchrow(
        f"{RUN} and id = $4::uuid", tx.actor.tenant_id, tx.actor.user_id, tx.actor.may("lead.view.all"), bulk_id
    )
    if row is None:
        raise RunNotFound
    return row


async def page(tx: Tx, *, after: UUID | None = None, limit: int = 50) -> list[asyncpg.Record]:
    """Return runs, the newest first, behind the one with the id `after`."""
    return await tx.fetch(
        f"{RUN} and ($4::uuid is null or id < $4::uuid) order by id desc limit $5::int",
        tx.actor.tenant_id, tx.actor.user_id, tx.actor.may("lead.view.all"), after, limit,
    )  # fmt: skip


REPORT = """
select r.lead_id, coalesce(r.verdict, 'waiting') as verdict
  from crm.bulk_chunk c cross join lateral unnest(c.lead_ids, c.verdicts) with ordinality as r(lead_id, verdict, n)
 where c.tenant_id = $1::uuid and c.bulk_id = $2::uuid
 order by c.chunk_no, r.n
"""


async def report(tx: Tx, bulk_id: UUID) -> str:
    """Return what became of each lead as CSV (RFC 4180): its id, the verdict, and the code of a refusal.

    :raises RunNotFound: when there is no such run for the actor.
    """
    run = await get(tx, bulk_id)
    rows = await tx.fetch(REPORT, tx.actor.tenant_id, bulk_id)
    return "\r\n".join(_lines(rows, is_cancelled=run["status"] == "cancelled")) + "\r\n"


def _lines(rows: list[asyncpg.Record], *, is_cancelled: bool) -> Iterator[str]:
    """Yield the lines; ids and codes need no quotes."""
    yield "lead_id,verdict,code"
    for lead_id, verdict in rows:
        if verdict == "waiting":
            yield f"{lead_id},{'cancelled' if is_cancelled else verdict},"
        elif verdict in (DONE, UNCHANGED, NOT_VISIBLE):
            yield f"{lead_id},{verdict},"
        else:
            yield f"{lead_id},refused,{verdict}"
