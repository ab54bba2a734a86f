"""Looking at agents: whose telephone is whose."""

from collections.abc import Iterable
from uuid import UUID

from crm.db import Tx


async def endpoint_of(tx: Tx, user_id: UUID) -> str | None:
    """Return the endpoint (dial string) of a person's telephone; None when they have none."""
    found: str | None = await tx.fetchval(
        "select endpoint from crm.agent where tenant_id = $1::uuid and user_id = $2::uuid", tx.actor.tenant_id, user_id
    )
    return found


BY_ENDPOINT = """
select a.endpoint, a.user_id
  from unnest($2::text[]) as wanted(endpoint)
 cross join lateral (
    select endpoint, user_id from crm.agent where tenant_id = $1::uuid and endpoint = wanted.endpoint limit 1) a
"""


async def by_endpoint(tx: Tx, endpoints: Iterable[str]) -> dict[str, UUID]:
    """Return whose telephones some endpoints are; strangers' are left out."""
    wanted = list(set(endpoints))
    rows = await tx.fetch(BY_ENDPOINT, tx.actor.tenant_id, wanted) if wanted else []
    return {row["endpoint"]: row["user_id"] for row in rows}
