"""Attempts: written when a lead is dialled or may not be, within the operation that does so."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import events, ids
from crm.db import Tx
from crm.dialling import budgets
from crm.dialling.designs import Design
from crm.dialling.hopper import Stop, zone_of
from crm.dialling.rules import Result

PURPOSE = "campaign"
"""What a call is for that a campaign begins by itself."""

INSERT = """
insert into crm.dial_attempt (tenant_id, id, campaign_id, entry_id, lead_id, contact_id, call_id, attempt_no, mode,
                              agent_user_id, dialed_at, local_hour, local_weekday, answer_p, result, reason,
                              resolved_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::uuid, $7::uuid, $8::int, $9::text, $10::uuid,
        $11::timestamptz, $12::int, $13::int, $14::float8, $15::text, $16::text, $17::timestamptz)
"""
DIALLING = """
update crm.dial_entry
   set state = 'dialling', call_id = $3::uuid, attempts = attempts + 1, last_attempt_at = $4::timestamptz,
       claimed_by = null, claimed_until = null, agent_user_id = $5::uuid, reason = null, updated_at = $4::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""
STOPPED = """
update crm.dial_entry
   set state = $3::text, reason = $4::text, next_at = coalesce($5::timestamptz, next_at), claimed_by = null,
       claimed_until = null, agent_user_id = null, last_result = 'blocked_by_policy', updated_at = $6::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""


async def begin(
    tx: Tx, design: Design, entry: Mapping[str, Any], call_id: UUID, *, agent: UUID | None = None, now: datetime
) -> UUID:  # fmt: skip
    """Note that a lead is dialled; return the attempt's id. Only the end of the call brings the lead back."""
    attempt_id = await _insert(tx, design, entry, call_id, agent, None, None, now)
    await tx.execute(DIALLING, tx.actor.tenant_id, entry["id"], call_id, now, agent)
    await budgets.add(tx, entry["campaign_id"], now, attempts=1)
    await tell(tx, attempt_id, "dialled", entry, call_id, agent=agent, now=now)
    return attempt_id


async def block(
    tx: Tx, design: Design, entry: Mapping[str, Any], stop: Stop, *, call_id: UUID | None = None, now: datetime
) -> UUID:  # fmt: skip
    """Note that a lead was not dialled, and why; return the attempt's id. It is put off or excluded.

    `call_id`: the call that was kept as denied, where there is one.
    """
    state, reason, until = stop
    attempt_id = await _insert(tx, design, entry, call_id, None, Result.blocked_by_policy, reason, now)
    await tx.execute(STOPPED, tx.actor.tenant_id, entry["id"], state.value, reason, until, now)
    await budgets.add(tx, entry["campaign_id"], now, blocked=1)
    await tell(tx, attempt_id, "blocked", entry, call_id, reason=reason, now=now)
    return attempt_id


async def _insert(
    tx: Tx, design: Design, entry: Mapping[str, Any], call_id: UUID | None, agent: UUID | None,
    result: Result | None, reason: str | None, now: datetime,
) -> UUID:  # fmt: skip
    attempt_id, local = ids.new(), now.astimezone(zone_of(entry))
    await tx.execute(
        INSERT, tx.actor.tenant_id, attempt_id, entry["campaign_id"], entry["id"], entry["lead_id"],
        entry["contact_id"], call_id, entry["attempts"] + 1, design.mode.value, agent, now, local.hour,
        local.weekday(), entry["answer_p"], result and result.value, reason, now if result else None,
    )  # fmt: skip
    return attempt_id


async def tell(
    tx: Tx, attempt_id: UUID, happened: str, entry: Mapping[str, Any], call_id: UUID | None, *, now: datetime,
    **detail: Any,
) -> None:  # fmt: skip
    """Write the event of an attempt."""
    told = {"campaign_id": entry["campaign_id"], "lead_id": entry["lead_id"], "call_id": call_id, **detail}
    await events.record(tx, "dial_attempt", attempt_id, f"dial_attempt.{happened}", told, at=now)
