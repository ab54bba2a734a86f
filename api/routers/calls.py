"""Calling leads, and steering the call: click to call, hold, transfer, hang up (COMM-1). No number comes or goes."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.language import Language
from api.schemas.calls import CallMade, CallMake, CallRead, DialMake, Invite, Mute, Tones, Transfer
from crm import db
from crm.actor import Actor
from crm.calls import operations, queries, wishes
from crm.db import Tx

router = Router("", tags=["calls"])

VIEW = ("lead.view.own", "lead.view.team", "lead.view.all")


@router.post("/leads/{lead_id}/call", status_code=201, response_model=CallMade)
@permission("call.make")
async def call_lead(
    request: Request, lead_id: UUID, body: CallMake, now: Now, language: Language, key: IdempotencyKey = None
) -> Response:
    """Call a lead's person: your telephone rings first, then theirs."""

    async def work(tx: Tx) -> CallMade:
        return CallMade.of(await operations.request(tx, lead_id, purpose=body.purpose, now=now), language)

    return await create(request, key, body, work, answer=CallMade)


@router.post("/pbx/dial", status_code=201, response_model=CallMade)
@permission("call.make")
async def dial(request: Request, body: DialMake, now: Now, language: Language, key: IdempotencyKey = None) -> Response:
    """Call a lead's person, by the lead's id: as `/leads/{id}/call`."""

    async def work(tx: Tx) -> CallMade:
        return CallMade.of(await operations.request(tx, body.lead_id, purpose=body.purpose, now=now), language)

    return await create(request, key, body, work, answer=CallMade)


@router.get("/pbx/calls/{call_id}")
@permission(*VIEW)
async def read_call(call_id: UUID, actor: CurrentActor) -> CallRead:
    """Return a call as it is now."""
    return CallRead.model_validate(await db.run(actor, lambda tx: queries.read(tx, call_id)))


@router.post("/pbx/calls/{call_id}/redial", status_code=201, response_model=CallMade)
@permission("call.make")
async def redial(
    request: Request, call_id: UUID, body: CallMake, now: Now, language: Language, key: IdempotencyKey = None
) -> Response:
    """Call the person of a call of yours that has ended once more."""

    async def work(tx: Tx) -> CallMade:
        return CallMade.of(await operations.redial(tx, call_id, purpose=body.purpose, now=now), language)

    return await create(request, key, body, work, answer=CallMade)


async def _after(actor: Actor, call_id: UUID, wish: Callable[[Tx], Awaitable[Any]]) -> CallRead:
    """Do a wish and return the call, with the wish among its asks."""

    async def work(tx: Tx) -> dict[str, Any]:
        await wish(tx)
        return await queries.read(tx, call_id)

    return CallRead.model_validate(await db.run(actor, work))


@router.post("/pbx/calls/{call_id}/hang-up")
@permission("call.make")
async def hang_up(call_id: UUID, actor: CurrentActor, now: Now) -> CallRead:
    """End your call."""
    return await _after(actor, call_id, lambda tx: wishes.hang_up(tx, call_id, now=now))


@router.post("/pbx/calls/{call_id}/hold")
@permission("call.make")
async def hold(call_id: UUID, actor: CurrentActor, now: Now) -> CallRead:
    """Let the customer hear music."""
    return await _after(actor, call_id, lambda tx: wishes.hold(tx, call_id, now=now))


@router.post("/pbx/calls/{call_id}/resume")
@permission("call.make")
async def resume(call_id: UUID, actor: CurrentActor, now: Now) -> CallRead:
    """Take a held call up again."""
    return await _after(actor, call_id, lambda tx: wishes.resume(tx, call_id, now=now))


@router.post("/pbx/calls/{call_id}/mute")
@permission("call.make")
async def mute(call_id: UUID, body: Mute, actor: CurrentActor, now: Now) -> CallRead:
    """Let the customer hear you no more, or again."""
    return await _after(actor, call_id, lambda tx: wishes.mute(tx, call_id, is_muted=body.is_muted, now=now))


@router.post("/pbx/calls/{call_id}/tones")
@permission("call.make")
async def play_tones(call_id: UUID, body: Tones, actor: CurrentActor, now: Now) -> CallRead:
    """Send tones (DTMF) to the customer's side."""
    return await _after(actor, call_id, lambda tx: wishes.play_dtmf(tx, call_id, body.digits, now=now))


@router.post("/pbx/calls/{call_id}/transfer")
@permission("call.make")
async def transfer(call_id: UUID, body: Transfer, actor: CurrentActor, now: Now) -> CallRead:
    """Give the customer to a queue or another agent."""
    target = wishes.Target(body.queue, body.agent_user_id)
    return await _after(
        actor, call_id, lambda tx: wishes.transfer(tx, call_id, target, is_attended=body.is_attended, now=now)
    )


@router.post("/pbx/calls/{call_id}/invite")
@permission("call.make")
async def invite(call_id: UUID, body: Invite, actor: CurrentActor, now: Now) -> CallRead:
    """Let another agent join the conversation."""
    return await _after(actor, call_id, lambda tx: wishes.invite(tx, call_id, body.agent_user_id, now=now))
