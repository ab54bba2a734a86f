"""Audit rows (OBS-2): who did what to which thing. Plain inserts in the transaction of the change."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from crm.db import Tx, to_json

SQL = """
insert into crm.audit_log (tenant_id, actor_user_id, action, target_type, target_id, metadata_json, created_at)
values ($1::uuid, $2::uuid, $3::text, $4::text, $5::uuid, $6::jsonb, $7::timestamptz)
"""


async def record(
    tx: Tx,
    action: str,
    target_type: str,
    target_id: UUID | None,
    metadata: Mapping[str, Any] | None = None,
    *,
    at: datetime,
) -> None:
    """Write one audit row; `metadata` holds ids, codes and reasons, never personal data. The trace id joins it."""
    detail = {**(metadata or {}), "trace_id": tx.actor.trace_id.hex}
    await tx.execute(SQL, tx.actor.tenant_id, tx.actor.user_id, action, target_type, target_id, to_json(detail), at)
    tx.recorded(audits=1)


async def of_person(
    tx: Tx,
    action: str,
    target_type: str,
    target_id: UUID | None,
    metadata: Mapping[str, Any] | None = None,
    *,
    at: datetime,
) -> None:
    """Write the audit row of what a person did; what the system does by itself stands in the event log alone."""
    if tx.actor.user_id is not None:
        await record(tx, action, target_type, target_id, metadata, at=at)


MANY = """
insert into crm.audit_log (tenant_id, actor_user_id, action, target_type, target_id, metadata_json, created_at)
select $1::uuid, $2::uuid, $3::text, $4::text, a.target_id, a.metadata::jsonb, $7::timestamptz
  from unnest($5::uuid[], $6::text[]) as a(target_id, metadata)
"""


async def of_person_many(
    tx: Tx, action: str, target_type: str, targets: Iterable[tuple[UUID, Mapping[str, Any]]], *, at: datetime
) -> None:
    """Write the audit rows of one thing a person did to many, each with its own metadata, in one statement."""
    actor, trace = tx.actor, {"trace_id": tx.actor.trace_id.hex}
    rows = [(target, to_json({**metadata, **trace})) for target, metadata in targets]
    if actor.user_id is None or not rows:
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    await tx.execute(MANY, actor.tenant_id, actor.user_id, action, target_type, *columns, at)
    tx.recorded(audits=len(rows))
