"""What is looked up of messages: what became of them and why, never what they say."""

from uuid import UUID

import asyncpg

from crm import errors
from crm.db import Tx

SHOWN = """id, connection_id, source, status, attempts, next_attempt_at, last_error, received_at, processed_at"""


class UnknownMessage(errors.NotFound):
    """There is no such message."""

    code = "inbox.not_found"


async def page(
    tx: Tx,
    *,
    status: str | None = None,
    reason: str | None = None,
    connection_id: UUID | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return messages without what they say, latest first, after one in that order; failed ones are dead letters."""
    return await tx.fetch(
        f"""select {SHOWN} from crm.inbox_message
             where tenant_id = $1::uuid and ($2::text is null or status = $2::text)
               and ($3::text is null or last_error = $3::text) and ($4::uuid is null or connection_id = $4::uuid)
               and ($5::uuid is null or id < $5::uuid)
             order by id desc limit $6::int""",
        tx.actor.tenant_id, status, reason, connection_id, after, limit,
    )  # fmt: skip


async def reasons(tx: Tx) -> list[asyncpg.Record]:
    """Return why messages were given up, each reason with its source and how many, the most frequent first."""
    return await tx.fetch(
        """select last_error as reason, source, count(*)::int as messages, min(received_at) as oldest_received_at
             from crm.inbox_message where tenant_id = $1::uuid and status = 'failed'
            group by last_error, source order by count(*) desc, last_error""",
        tx.actor.tenant_id,
    )  # fmt: skip


async def get(tx: Tx, message_id: UUID) -> asyncpg.Record:
    """Return a message without what it says.

    :raises UnknownMessage: when there is none.
    """
    row = await tx.fetchrow(
        f"select {SHOWN} from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, message_id,
    )  # fmt: skip
    if row is None:
        raise UnknownMessage
    return row
