"""The inbox: what arrived from lead sources and what became of it. What a message says is never shown."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from api.deps import CurrentActor, Now, Router, permission
from api.schemas.inbox import MessagePage, MessageRead, MessageStatus
from crm import cursors, db
from crm.db import Tx
from crm.inbox import operations as inbox

router = Router("/inbox")


@router.get("")
@permission("inbox.view")
async def list_messages(
    actor: CurrentActor,
    status: MessageStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=1000)] = "",
) -> MessagePage:
    """List messages, the latest first."""
    here = {"purpose": "inbox", "tenant_id": actor.tenant_id, "bound_to": str(status)}
    after = UUID(cursors.read(cursor, **here)) if cursor else None
    rows = await db.run(actor, lambda tx: inbox.page(tx, status=status, after=after, limit=limit + 1))
    items = [MessageRead.model_validate(dict(row)) for row in rows[:limit]]
    following = cursors.sign(items[-1].id, **here) if len(rows) > limit else None
    return MessagePage(items=items, next_cursor=following)


@router.get("/{message_id}")
@permission("inbox.view")
async def read_message(message_id: UUID, actor: CurrentActor) -> MessageRead:
    """Return one message."""
    return MessageRead.model_validate(dict(await db.run(actor, lambda tx: inbox.get(tx, message_id))))


@router.post("/{message_id}/replay", status_code=202)
@permission("inbox.replay")
async def replay_message(message_id: UUID, actor: CurrentActor, now: Now) -> MessageRead:
    """Have a message worked off again; what it brought already changes nothing the second time."""

    async def work(tx: Tx) -> dict[str, object]:
        await inbox.replay(tx, message_id, now=now)
        return dict(await inbox.get(tx, message_id))

    return MessageRead.model_validate(await db.run(actor, work))
