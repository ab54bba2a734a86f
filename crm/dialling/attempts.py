"""Attempts: written when a lead is dialled or may not be, within the operation that does so."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

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
returning *
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
    attempt = await _insert(tx, design, entry, call_id, agent, None, None, now)
    await tx.execute(DIALLING, tx.actor.tenant_id, entry["id"], call_id, now, agent)
    await budgets.add(tx, entry["campaign_id"], now, attempts=1)
    await tell(tx, attempt, "dialled", timezone=design.timezone, now=now)
    return UUID(str(attempt["id"]))


async def block(
    tx: Tx, design: Design, entry: Mapping[str, Any], stop: Stop, *, call_id: UUID | None = None, now: datetime
) -> UUID:  # fmt: skip
    """Note that a lead was not dialled, and why; return the attempt's id. It is put off or excluded.

    `call_id`: the call that was kept as denied, where there is one.
    """
    state, reason, until = stop
    attempt = await _insert(tx, design, entry, call_id, None, Result.blocked_by_policy, reason, now)
    await tx.execute(STOPPED, tx.actor.tenant_id, entry["id"], state.value, reason, until, now)
    await budgets.add(tx, entry["campaign_id"], now, blocked=1)
    await tell(tx, attempt, "blocked", timezone=design.timezone, now=now)
    return UUID(str(attempt["id"]))


async def _insert(
    tx: Tx, design: Design, entry: Mapping[str, Any], call_id: UUID | None, agent: UUID | None,
    result: Result | None, reason: str | None, now: datetime,
) -> asyncpg.Record:  # fmt: skip
    local = now.astimezone(zone_of(entry))
    row = await tx.fetchrow(
        INSERT, tx.actor.tenant_id, ids.new(), entry["campaign_id"], entry["id"], entry["lead_id"],
        entry["contact_id"], call_id, entry["attempts"] + 1, design.mode.value, agent, now, local.hour,
        local.weekday(), entry["answer_p"], result and result.value, reason, now if result else None,
    )  # fmt: skip
    assert row is not None, "what is inserted returns its row"
    return row


TOLD = (
    "campaign_id", "entry_id", "lead_id", "contact_id", "call_id", "agent_user_id", "attempt_no", "mode", "dialed_at",
    "answered_at", "connected_at", "ended_at", "connect_delay_s", "ring_s", "result", "reason", "is_abandoned",
    "resolved_at",
)  # fmt: skip
"""What every event of an attempt says of it, so that the latest one says all."""


async def tell(tx: Tx, attempt: Mapping[str, Any], happened: str, *, now: datetime, **detail: Any) -> None:
    """Write the event of an attempt (its whole row, as it stands now), with what is known beside it.

    `timezone`: the campaign's, in which its days are counted, told when the attempt is made.
    """
    told = {**{name: attempt[name] for name in TOLD}, **detail}
    await events.record(tx, "dial_attempt", attempt["id"], f"dial_attempt.{happened}", told, at=now)
