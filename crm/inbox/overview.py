"""Connections as who is on duty looks at them: what is foreseen of the token, how the source behaves, what waits."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from crm.db import Tx
from crm.inbox import connections, tokens
from crm.inbox.connections import Source

CONNECTIONS = """
select c.id, c.source, c.name, c.team_id, c.is_active, c.created_at, c.updated_at,
       t.status as token_status, t.expires_at as token_expires_at, t.checked_at as token_checked_at,
       t.last_error as token_error, coalesce(h.failures, 0) as failures, h.failing_since,
       h.last_error as failing_reason, h.alerted_at is not null as is_failing, h.blocked_until,
       p.position as reconciled_until,
       coalesce(m.waiting, 0) as waiting, m.oldest_at, coalesce(m.given_up, 0) as given_up
  from crm.connection c
  left join crm.connection_token t on t.tenant_id = c.tenant_id and t.connection_id = c.id
  left join crm.connection_health h on h.tenant_id = c.tenant_id and h.connection_id = c.id
  left join crm.pull_checkpoint p on p.tenant_id = c.tenant_id and p.connection_id = c.id
  left join (select connection_id, count(*) filter (where status = 'pending')::int as waiting,
                    min(received_at) filter (where status = 'pending') as oldest_at,
                    count(*) filter (where status = 'failed')::int as given_up
               from (select connection_id, status, received_at from crm.inbox_message
                      where tenant_id = $1::uuid and status = 'pending'
                     union all
                     select connection_id, status, received_at from crm.inbox_message
                      where tenant_id = $1::uuid and status = 'failed') open
              group by connection_id) m on m.connection_id = c.id
 where c.tenant_id = $1::uuid and ($2::uuid is null or c.id = $2::uuid)
 order by c.created_at, c.id
"""


async def listing(tx: Tx, *, connection_id: UUID | None = None, now: datetime) -> list[dict[str, Any]]:
    """Return every connection (or one), the oldest first, without secrets.

    :raises connections.UnknownConnection: when one is asked for that is not there.
    """
    rows = await tx.fetch(CONNECTIONS, tx.actor.tenant_id, connection_id)
    if connection_id and not rows:
        raise connections.UnknownConnection
    return [_shown(row, now) for row in rows]


def _shown(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    foreseen = tokens.outlook(row["token_status"], row["token_expires_at"], source=Source(row["source"]), now=now)
    blocked = row["blocked_until"]
    return {
        **row,
        "token": {
            "outlook": foreseen.value,
            "expires_at": row["token_expires_at"],
            "checked_at": row["token_checked_at"],
            "last_error": row["token_error"],
        },
        "health": {
            "is_failing": row["is_failing"],
            "failures": row["failures"],
            "failing_since": row["failing_since"],
            "last_error": row["failing_reason"],
            "blocked_until": blocked if blocked and blocked > now else None,
        },
        "inbox": {name: row[name] for name in ("waiting", "oldest_at", "given_up")},
    }
