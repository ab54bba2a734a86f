"""Which dialer runs a campaign: one at a time, by a lease that it renews and that lapses when it dies.

A lease is judged by the database's clock, the only one that all dialers share. Whoever places calls holds the lease's
row for as long as the transaction lasts: a dialer that was stopped, for however long, and goes on finds the lease
somebody else's and places nothing.
"""

from datetime import timedelta
from uuid import UUID

from crm import errors
from crm.db import Tx
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
