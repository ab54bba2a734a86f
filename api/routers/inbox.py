"""The inbox: what arrived from lead sources and what became of it. What a message says is never shown."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.deps import CurrentActor, Now, Router, permission
from api.schemas import Listing
from api.schemas.inbox import MessagePage, MessageRead, MessageStatus, Reason, ReasonRead, Replayed, ReplayMany
from crm import cursors, db
from crm.db import Tx
from crm.inbox import dead_letters, queries

router = Router("/inbox")


@router.get("")
@permission("inbox.view")
async def list_messages(
    actor: CurrentActor,
    status: MessageStatus | None = None,
    reason: Reason | None = None,
    connection_id: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=1000)] = "",
) -> MessagePage:
    """List messages, the latest first; those that failed are the dead letters, with the reason as a code."""
    bound_to = f"{status} {reason} {connection_id}"
    here = {"purpose": "inbox", "tenant_id": actor.tenant_id, "bound_to": bound_to}
    after = UUID(cursors.read(cursor, **here)) if cursor else None
    rows = await db.run(
        actor,
        lambda tx: queries.page(
            tx, status=status, reason=reason, connection_id=connection_id, after=after, limit=limit + 1
        ),
    )  # fmt: skip
    items = [MessageRead.model_validate(dict(row)) for row in rows[:limit]]
    following = cursors.sign(items[-1].id, **here) if len(rows) > limit else None
    return MessagePage(items=items, next_cursor=following)


@router.get("/reasons")
@permission("inbox.view")
async def list_reasons(actor: CurrentActor) -> Listing[ReasonRead]:
    """List why messages were given up, and how many each."""
    rows = await db.run(actor, queries.reasons)
    return Listing(items=[ReasonRead.model_validate(dict(row)) for row in rows])


@router.post("/replay", status_code=202)
@permission("inbox.replay")
async def replay_messages(body: ReplayMany, actor: CurrentActor, now: Now) -> Replayed:
    """Have messages that were given up worked off again: of one reason or connection, or all; a thousand at most."""
    found = await db.run(
        actor,
        lambda tx: dead_letters.replay_failed(tx, reason=body.reason, connection_id=body.connection_id, now=now),
    )
    return Replayed(messages=found)


@router.get("/{message_id}")
@permission("inbox.view")
async def read_message(message_id: UUID, actor: CurrentActor) -> MessageRead:
    """Return one message."""
    return MessageRead.model_validate(dict(await db.run(actor, lambda tx: queries.get(tx, message_id))))


@router.post("/{message_id}/replay", status_code=202)
@permission("inbox.replay")
async def replay_message(message_id: UUID, actor: CurrentActor, now: Now) -> MessageRead:
    """Have a message worked off again; what it brought already changes nothing the second time."""

    async def work(tx: Tx) -> dict[str, object]:
        await dead_letters.replay(tx, message_id, now=now)
        return dict(await queries.get(tx, message_id))

    return MessageRead.model_validate(await db.run(actor, work))
