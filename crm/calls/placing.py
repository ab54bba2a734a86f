"""Placing a call: its row, its agent held for it, and what is asked of the exchange.

Nobody who places a call learns the number: the call names the contact, and the bridge takes the number from the vault
when it speaks to the exchange.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from crm import errors, events, exchange, ids
from crm.agents import states
from crm.calls.known import Direction
from crm.calls.steps import LIVE, Status
from crm.consent.rules import Answer, Purpose
from crm.db import Tx, to_json
from crm.processes import version_for

AGENT_RING_S = 20
"""Seconds an agent's own telephone rings when they asked for the call themselves."""


class ContactOnCall(errors.Conflict):
    """Somebody is calling this person, or speaking with them, right now."""

    code = "call.contact_busy"


@dataclass(frozen=True, slots=True)
class Placed:
    """A call that was asked for. `expires_at` (UTC): if nobody speaks by then, nobody will.

    `answer` tells why it was denied, with the instant until which waiting helps.
    """

    call_id: UUID
    status: Status
    expires_at: datetime | None
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """A call the system begins: to whom, for what, and to which queue or agent the answered customer comes."""

    contact_id: UUID
    lead_id: UUID | None
    purpose: str
    queue: str | None = None
    agent_user_id: UUID | None = None
    campaign_id: UUID | None = None
    callback_id: UUID | None = None
    caller_id: str | None = None
    ring_s: int = 45
    detects_machines: bool = False
    machine_message: str | None = None
    """The code of the announcement that is left on a machine; None: it is hung up on."""
    consent_purpose: Purpose = Purpose.enquiry


INSERT = """
insert into crm.call (tenant_id, id, direction, purpose, status, failure, lead_id, contact_id, agent_user_id, queue,
                      campaign_id, callback_id, process_version_id, redials_call_id, consent_check_id, requested_by,
                      requested_at, expires_at, caller_id, ring_limit_s, detects_machines, steps, updated_at,
                      machine_message)
values ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::uuid, $8::uuid, $9::uuid, $10::text, $11::uuid,
        $12::uuid, $13::uuid, $14::uuid, $15::uuid, $16::uuid, $17::timestamptz, $18::timestamptz, $19::text, $20::int,
        $21::boolean, $22::jsonb, $17::timestamptz, $23::text)
"""


async def place(
    tx: Tx, dial: Dial, direction: Direction, check_id: UUID, answer: Answer, *, redials: UUID | None = None,
    now: datetime,
) -> Placed:  # fmt: skip
    """Store a call and, when it is allowed, hold its agent and ask the exchange, for the operation that wants it.

    :raises ContactOnCall: when a call with this person is going on.
    :raises crm.agents.states.NotSignedOn, crm.agents.states.AgentBusy: when the agent cannot take a call now.
    """
    call_id = ids.new()
    status = Status.checked if answer.is_allowed else Status.denied
    expires_at = now + exchange.GOOD_FOR + timedelta(seconds=AGENT_RING_S + dial.ring_s) if answer.is_allowed else None
    if answer.is_allowed:
        await _require_free(tx, dial.contact_id)
        if dial.agent_user_id is not None:
            await states.reserve(tx, dial.agent_user_id, call_id, now=now)
    version_id = await version_for(
        tx, campaign_id=dial.campaign_id, queue=dial.queue, purpose=dial.purpose, lead_id=dial.lead_id, at=now
    )
    steps = [{"status": each.value, "at": now.isoformat()} for each in (Status.requested, status)]
    await tx.execute(
        INSERT, tx.actor.tenant_id, call_id, direction.value, dial.purpose, status.value,
        answer.reason and f"consent.{answer.reason.value}", dial.lead_id, dial.contact_id, dial.agent_user_id,
        dial.queue, dial.campaign_id, dial.callback_id, version_id, redials, check_id, tx.actor.user_id, now,
        expires_at, dial.caller_id, dial.ring_s, dial.detects_machines, to_json(steps),
        dial.machine_message,
    )  # fmt: skip
    told = _told(dial, direction)
    reason = {"reason": answer.reason and answer.reason.value, "consent_check_id": check_id}
    await events.record_many(
        tx, [("call", call_id, "call.requested", told), ("call", call_id, f"call.{status.value}", told | reason)],
        at=now,
    )  # fmt: skip
    if answer.is_allowed:
        await exchange.ask(tx, exchange.Kind.originate, call_id=call_id, now=now)
    return Placed(call_id, status, expires_at, answer)


def _told(dial: Dial, direction: Direction) -> dict[str, Any]:
    return {
        "lead_id": dial.lead_id, "contact_id": dial.contact_id, "agent_user_id": dial.agent_user_id,
        "campaign_id": dial.campaign_id, "callback_id": dial.callback_id, "queue": dial.queue,
        "direction": direction.value, "purpose": dial.purpose, "outcome": "open", "cause": None, "verdict": None,
    }  # fmt: skip


async def _require_free(tx: Tx, contact_id: UUID) -> None:
    """Raise when a call with this person is going on; asking for consent has locked the person."""
    if await tx.fetchval(
        "select true from crm.call where tenant_id = $1::uuid and contact_id = $2::uuid and ended_at is null"
        " and status in (select unnest($3::text[])) and source = 'live' limit 1",
        tx.actor.tenant_id, contact_id, sorted(LIVE),
    ):  # fmt: skip
        raise ContactOnCall
