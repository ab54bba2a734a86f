"""Bodies of messages: sealed under a key of each message, and replaced by others while the earlier ones are kept."""

from datetime import datetime
from uuid import UUID

from crm import vault
from crm.db import Tx


def as_text(body: bytes) -> str:
    """Return any bytes as text, one character each, which is what can be sealed."""
    return body.decode("latin-1")


def as_bytes(text: str) -> bytes:
    """Return the bytes that `as_text` made text of."""
    return text.encode("latin-1")


async def seal(tenant_id: UUID, key_id: UUID, body: bytes) -> bytes | None:
    """Return another body of a message sealed under its own key; None when that was destroyed."""
    keys = await vault.find(tenant_id, [key_id])
    return keys[key_id].seal(as_text(body)) if key_id in keys else None


async def replace(tx: Tx, message_id: UUID, sealed: bytes, because: str, *, now: datetime) -> None:
    """Put another body in the place of a message's own, which is kept. Its fingerprint stays that of what came."""
    await tx.execute(
        """insert into crm.inbox_version (tenant_id, message_id, version_no, key_id, sealed, replaced_because,
                                          replaced_at, replaced_by)
           select $1::uuid, $2::uuid, (select count(*) + 1 from crm.inbox_version
                                        where tenant_id = $1::uuid and message_id = $2::uuid),
                  key_id, sealed, $3::text, $4::timestamptz, $5::uuid
             from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message_id, because, now, tx.actor.user_id,
    )  # fmt: skip
    await tx.execute(
        "update crm.inbox_message set sealed = $3::bytea where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, message_id, sealed,
    )  # fmt: skip
