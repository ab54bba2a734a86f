"""Calls the system begins: for a campaign or a callback (PRIV-3: asked at the last moment whether it may)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from crm.calls.known import Direction
from crm.calls.placing import ContactOnCall, Dial, place
from crm.consent import operations as consent
from crm.consent.rules import Answer
from crm.consent.rules import Channel as ConsentChannel
from crm.db import Tx
from crm.operation import operation

__all__ = ["ContactOnCall", "Dial", "Dialled", "dial"]


@dataclass(frozen=True, slots=True)
class Dialled:
    """What came of it: the call, or None with the reason in `answer`."""

    call_id: UUID | None
    answer: Answer


@operation("call.dial")
async def dial(tx: Tx, wanted: Dial, *, now: datetime) -> Dialled:
    """Call a person for a campaign or a callback: the agent first where one is named, else the customer.

    Whether they may be called is asked now, at the last moment; a no makes no call.

    :raises ContactOnCall: when a call with this person is going on.
    :raises crm.agents.states.NotSignedOn, crm.agents.states.AgentBusy: when the named agent cannot take a call now.
    """
    check_id, answer = await consent.check(
        tx, wanted.contact_id, ConsentChannel.call, wanted.consent_purpose, lead_id=wanted.lead_id, now=now
    )
    if not answer.is_allowed:
        return Dialled(None, answer)
    direction = Direction.agent_first if wanted.agent_user_id else Direction.customer_first
    placed = await place(tx, wanted, direction, check_id, answer, now=now)
    return Dialled(placed.call_id, answer)
