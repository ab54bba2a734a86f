"""Idempotency keys: the same creating request sent twice is done once and answered the same (DESIGN contract 2)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crm import errors, ids
from crm.db import Tx, to_json


class KeyReused(errors.Conflict):
    """This Idempotency-Key was used before for another request; choose a new one."""

    code = "idempotency.conflict"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The key a client chose for one creating request, the route it was used on, and the SHA-256 of its body."""

    key: str
    route: str
    body_hash: bytes

    def require_same(self, earlier: Mapping[str, Any]) -> None:
        """:raises KeyReused: when the row kept under this key has another route or body."""
        if earlier["route"] != self.route or bytes(earlier["body_hash"]) != self.body_hash:
            raise KeyReused


RESERVE = """
insert into crm.idempotency_key (tenant_id, user_id, key, route, body_hash, status_code, response, created_at)
values ($1::uuid, $2::uuid, $3::text, $4::text, $5::bytea, $6::int, 'null', $7::timestamptz)
on conflict do nothing returning true
"""
FIND = """
select route, body_hash, status_code, response from crm.idempotency_key
 where tenant_id = $1::uuid and user_id = $2::uuid and key = $3::text
"""
KEEP = """
update crm.idempotency_key set response = $4::jsonb where tenant_id = $1::uuid and user_id = $2::uuid and key = $3::text
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a creating request is answered: JSON-ready content, and whether it is an earlier answer given again."""

    content: Any
    is_replay: bool


async def once(
    tx: Tx, request: Idempotency, work: Callable[[], Awaitable[Any]], *, status: int, now: datetime
) -> Answer:
    """Do `work` and keep its JSON-ready result under the request's key, or return what was kept there.

    Of two requests racing under one key the second waits at the key's index until the first has ended, then gets its
    answer; if the first failed, nothing was kept and the second does the work.

    :raises KeyReused: when the key was used before with another body or route.
    """
    who = (tx.actor.tenant_id, tx.actor.user_id or ids.NOBODY, request.key)
    if await tx.fetchval(RESERVE, *who, request.route, request.body_hash, status, now):
        content = await work()
        await tx.execute(KEEP, *who, to_json(content))
        return Answer(content, is_replay=False)
    earlier = await tx.fetchrow(FIND, *who)
    assert earlier is not None, "a conflict means that the row is there"
    request.require_same(earlier)
    return Answer(earlier["response"], is_replay=True)


async def forget(tx: Tx, *, before: datetime) -> int:
    """Delete the tenant's keys used before an instant; return how many they were. Their requests may be done again."""
    done = await tx.execute(
        "delete from crm.idempotency_key where tenant_id = $1::uuid and created_at < $2::timestamptz",
        tx.actor.tenant_id,
        before,
    )
    return int(done.split()[-1])
