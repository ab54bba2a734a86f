"""Facts as they are stored, each once however often it is told, and read back."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid5

from pydantic import TypeAdapter

from crm.calls import facts as kinds
from crm.calls.facts import Fact
from crm.db import Tx

INSERT = """
insert into crm.call_fact (tenant_id, call_id, digest, kind, body, at, heard_at)
select $1::uuid, f.call_id, f.digest, f.kind, f.body::jsonb, f.at, $7::timestamptz
  from unnest($2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::timestamptz[])
       as f(call_id, digest, kind, body, at)
    on conflict do nothing
returning call_id
"""
READ = """
select f.call_id, f.kind, f.body
  from unnest($2::uuid[]) as wanted(id)
 cross join lateral (
    select call_id, kind, body from crm.call_fact
     where tenant_id = $1::uuid and call_id = wanted.id) f
"""


def call_id_of(tenant_id: UUID, named: str) -> UUID:
    """Return our id of a call by the exchange's: its own where we began the call, else one that follows from it."""
    try:
        return UUID(named)
    except ValueError:
        return uuid5(tenant_id, named)


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(getattr(kinds, kind))


async def keep(tx: Tx, told: Iterable[tuple[UUID, Fact]], *, now: datetime) -> set[UUID]:
    """Store facts of calls that are known and return those calls that learnt something new."""
    rows = []
    for call_id, fact in told:
        kind = type(fact).__name__
        body = _adapter(kind).dump_json(fact)
        digest = blake2b(kind.encode() + body, digest_size=16).digest()
        rows.append((call_id, digest, kind, body.decode(), fact.at))
    if not rows:
        return set()
    columns = [list(column) for column in zip(*rows, strict=True)]
    stored = await tx.fetch(INSERT, tx.actor.tenant_id, *columns, now)
    return {row["call_id"] for row in stored}


async def read(tx: Tx, call_ids: Iterable[UUID]) -> dict[UUID, set[Fact]]:
    """Return everything that was told of some calls."""
    found: dict[UUID, set[Fact]] = {call_id: set() for call_id in call_ids}
    for row in await tx.fetch(READ, tx.actor.tenant_id, list(found)):
        found[row["call_id"]].add(_adapter(row["kind"]).validate_python(row["body"]))
    return found
