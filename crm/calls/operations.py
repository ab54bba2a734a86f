"""Calls an agent begins: click to call, and once more."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from crm import audit, errors, tenant_settings
from crm.calls.known import Direction
from crm.calls.placing import Dial, Placed, place
from crm.calls.steps import Status
from crm.consent import operations as consent
from crm.consent.rules import Channel as ConsentChannel
from crm.consent.rules import Purpose
from crm.db import Tx
from crm.leads import rows as leads
from crm.operation import operation

PER_MINUTE = tenant_settings.declare(
    "call.per_agent_minute",
    Annotated[int, Field(ge=1, le=60)],
    6,
    tr="Bir temsilcinin dakikada başlatabileceği arama",
    en="Calls one agent may begin in a minute",
)
RING_S = tenant_settings.declare(
    "call.ring_s",
    Annotated[int, Field(ge=15, le=120)],
    45,
    tr="Müşteri telefonu kaç saniye çalar",
    en="Seconds a customer's telephone rings",
)


class TooManyCalls(errors.TooMany):
    """You have begun as many calls as a minute allows; wait a moment."""

    code = "call.throttled"


class NotRedialable(errors.Conflict):
    """Only a call of yours that has ended can be dialled again."""

    code = "call.not_ended"


@operation("call.make")
async def request(
    tx: Tx, lead_id: UUID, *, purpose: Purpose = Purpose.enquiry, redials: UUID | None = None,
    campaign_id: UUID | None = None, caller_id: str | None = None, ring_s: int | None = None, now: datetime,
) -> Placed:  # fmt: skip
    """Call a lead's person: the agent's own telephone rings first, then the customer's.

    `campaign_id`: the dialling campaign whose lead it is, if any, with the number it shows and the seconds it lets the
    customer's telephone ring. A person who may not be called now is not: the call is kept as denied, with the reason.

    :raises crm.leads.rows.LeadNotFound: when there is no such lead for the actor.
    :raises TooManyCalls: when the agent has begun too many within a minute.
    :raises ContactOnCall: when a call with this person is going on.
    :raises crm.agents.states.NotSignedOn, crm.agents.states.AgentBusy: when the agent cannot take a call now.
    """
    lead = await leads.lock(tx, lead_id)
    agent, contact_id = tx.actor.user_id, lead["contact_id"]
    if agent is None:
        raise errors.Invalid("a person calls; the system dials", fields={"agent": "nobody"})
    most, firm_ring_s = await tenant_settings.values(tx, PER_MINUTE, RING_S, at=now)
    await _throttle(tx, agent, most, now=now)
    check_id, answer = await consent.check(tx, contact_id, ConsentChannel.call, purpose, lead_id=lead_id, now=now)
    dial = Dial(
        contact_id=contact_id, lead_id=lead_id, purpose="click", agent_user_id=agent, campaign_id=campaign_id,
        caller_id=caller_id, ring_s=ring_s or firm_ring_s, consent_purpose=purpose,
    )  # fmt: skip
    placed = await place(tx, dial, Direction.agent_first, check_id, answer, redials=redials, now=now)
    told = {"lead_id": lead_id, "status": placed.status.value, "redials": redials}
    await audit.of_person(tx, "call.make", "call", placed.call_id, told, at=now)
    return placed


async def _throttle(tx: Tx, agent: UUID, most: int, *, now: datetime) -> None:
    """Count one more call of an agent; two requests at once are counted one after the other."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('call ' || $1::text, 0))", str(agent))
    made = await tx.fetchval(
        "select count(*) from crm.call where tenant_id = $1::uuid and requested_by = $2::uuid"
        " and requested_at > $3::timestamptz",
        tx.actor.tenant_id, agent, now - timedelta(minutes=1),
    )  # fmt: skip
    if made >= most:
        raise TooManyCalls


@operation("call.make")
async def redial(tx: Tx, call_id: UUID, *, purpose: Purpose = Purpose.enquiry, now: datetime) -> Placed:
    """Call the person of an own call that has ended once more.

    :raises NotRedialable: when it is not the actor's, has not ended, or had no lead. Else as `request`.
    """
    row = await tx.fetchrow(
        "select lead_id, ended_at, status from crm.call"
        " where tenant_id = $1::uuid and id = $2::uuid and agent_user_id = $3::uuid",
        tx.actor.tenant_id, call_id, tx.actor.user_id,
    )  # fmt: skip
    if row is None or row["lead_id"] is None or (row["ended_at"] is None and row["status"] != Status.denied):
        raise NotRedialable
    return await request(tx, row["lead_id"], purpose=purpose, redials=call_id, now=now)
