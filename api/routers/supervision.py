"""Taking part in the calls of one's team: listen, whisper, barge in, leave."""

from typing import Any
from uuid import UUID

from api.deps import CurrentActor, Now, Router, permission
from api.schemas import Listing
from api.schemas.supervision import Supervise, SupervisionRead
from crm import db
from crm.actor import Actor
from crm.calls import supervision
from crm.calls.supervision import Mode
from crm.db import Tx

router = Router("/pbx/calls", tags=["calls"])


@router.post("/{call_id}/listen", status_code=201)
@permission("call.supervise")
async def listen(call_id: UUID, body: Supervise, actor: CurrentActor, now: Now) -> SupervisionRead:
    """Listen to a conversation: your telephone rings, nobody hears you. The agent learns of it as the firm has set."""
    return await _begun(actor, call_id, Mode.listen, body, now)


@router.post("/{call_id}/whisper", status_code=201)
@permission("call.supervise")
async def whisper(call_id: UUID, body: Supervise, actor: CurrentActor, now: Now) -> SupervisionRead:
    """Speak to the agent alone while they speak with the customer."""
    return await _begun(actor, call_id, Mode.whisper, body, now)


@router.post("/{call_id}/barge", status_code=201)
@permission("call.supervise")
async def barge(call_id: UUID, body: Supervise, actor: CurrentActor, now: Now) -> SupervisionRead:
    """Join the conversation: both hear you."""
    return await _begun(actor, call_id, Mode.barge, body, now)


async def _begun(actor: Actor, call_id: UUID, mode: Mode, body: Supervise, now: Now) -> SupervisionRead:
    async def work(tx: Tx) -> Any:
        which = await supervision.begin(tx, call_id, mode, reason=body.reason, now=now)
        return next(each for each in await supervision.of_call(tx, call_id) if each["id"] == which)

    return SupervisionRead.model_validate(dict(await db.run(actor, work)))


@router.get("/{call_id}/supervision")
@permission("call.supervise", "audit.read")
async def read(call_id: UUID, actor: CurrentActor) -> Listing[SupervisionRead]:
    """List who takes or took part in a call, the latest first."""
    rows = await db.run(actor, lambda tx: supervision.of_call(tx, call_id))
    return Listing(items=[SupervisionRead.model_validate(dict(row)) for row in rows])


@router.delete("/{call_id}/supervision")
@permission("call.supervise")
async def stop(call_id: UUID, actor: CurrentActor, now: Now) -> Listing[SupervisionRead]:
    """Leave the call you take part in; yours stays listed, with its end."""

    async def work(tx: Tx) -> list[Any]:
        await supervision.stop(tx, call_id, now=now)
        return await supervision.of_call(tx, call_id)

    rows = await db.run(actor, work)
    return Listing(items=[SupervisionRead.model_validate(dict(row)) for row in rows])
