"""Which dialer runs a campaign: one at a time, by a lease that it renews and that lapses when it dies.

A lease is judged by the database's clock, the only one that all dialers share. Whoever places calls holds the lease's
row for as long as the transaction lasts: a dialer that was stopped, for however long, and goes on finds the lease
somebody else's and places nothing.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from crm import errors
from crm.db import Tx
from crm.dialling.rules import BY_AGENTS
from crm.operation import operation

LASTS = timedelta(seconds=6)
"""After so long without a word of it a dialer counts as dead."""


class LeaseLost(errors.Conflict):
    """Another dialer runs this campaign now."""

    code = "dial_lease.lost"


TAKE = """
insert into crm.dial_lease as l (tenant_id, campaign_id, holder, term, expires_at)
values ($1::uuid, $2::uuid, $3::uuid, 1, clock_timestamp() + $4::interval)
    on conflict (tenant_id, campaign_id) do update
   set holder = excluded.holder, expires_at = excluded.expires_at,
       term = case when l.holder = excluded.holder then l.term else l.term + 1 end
 where l.holder = excluded.holder or l.expires_at <= clock_timestamp()
returning term
"""


@operation("dialling.run")
async def take(tx: Tx, campaign_id: UUID, holder: UUID, *, lasts: timedelta = LASTS) -> int | None:
    """Take, or renew, the lease of a campaign for a dialer; return its term, None when it is another's.

    The term counts the dialers that have held it.
    """
    term: int | None = await tx.fetchval(TAKE, tx.actor.tenant_id, campaign_id, holder, lasts)
    tx.unchanged()
    return term


RUNNABLE = """
select k.id
  from crm.dial_campaign k
  left join crm.dial_lease l on l.tenant_id = $1::uuid and l.campaign_id = k.id
 where k.tenant_id = $1::uuid and k.deleted_at is null and k.mode not in (select unnest($2::text[]))
   and (k.status = 'running' or k.status in ('paused', 'draining', 'stopped') and exists (
          select from crm.dial_attempt a where a.tenant_id = $1::uuid and a.campaign_id = k.id
             and a.resolved_at is null))
   and (l.holder is null or l.holder = $3::uuid or l.expires_at <= clock_timestamp())
 order by k.id
"""


@operation("dialling.run")
async def take_free(tx: Tx, holder: UUID, *, besides: Collection[UUID] = ()) -> list[UUID]:
    """Take the leases of campaigns that dial by themselves and that nobody runs, but of those the dialer runs already;
    return them. One that is paused or stopped is run until its last call has ended.
    """
    rows = await tx.fetch(RUNNABLE, tx.actor.tenant_id, sorted(BY_AGENTS), holder)
    wanted = [row["id"] for row in rows if row["id"] not in besides]
    taken = [each for each in wanted if await take(tx, each, holder) is not None]
    tx.unchanged()
    return taken


@operation("dialling.run")
async def leave(tx: Tx, campaign_id: UUID, holder: UUID) -> None:
    """Give a lease back, so that the next dialer need not wait for its end."""
    await tx.execute(
        "update crm.dial_lease set expires_at = clock_timestamp()"
        " where tenant_id = $1::uuid and campaign_id = $2::uuid and holder = $3::uuid",
        tx.actor.tenant_id, campaign_id, holder,
    )  # fmt: skip
    tx.unchanged()


async def require(tx: Tx, campaign_id: UUID, holder: UUID) -> None:
    """Hold a lease until the transaction ends.

    :raises LeaseLost: when it is not this dialer's now.
    """
    if not await tx.fetchval(
        "select true from crm.dial_lease where tenant_id = $1::uuid and campaign_id = $2::uuid and holder = $3::uuid"
        " and expires_at > clock_timestamp() for share",
        tx.actor.tenant_id, campaign_id, holder,
    ):  # fmt: skip
        raise LeaseLost
