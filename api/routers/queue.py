"""Queues: their settings, who waits, what supervisors do, live boards and figures.

A board over a WebSocket, its token in the first message (how it ends: `api.sockets`):

    → {"type": "hello", "token": "<access token>"}
    ← {"type": "ready", "seq": 7, "as_of": "…", "queues": [{"code": "sales", "depth": 2, …}]}
    ← {"type": "board", "seq": 8, "as_of": "…", "queues": […]}
    ← {"type": "heartbeat", "seq": 8, "as_of": "…", "queues": []}
"""

import asyncio
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Response, WebSocket, WebSocketDisconnect
from starlette.requests import Request

from api import sockets
from api.boards import Boards, Watcher
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.leads import Instant
from api.schemas.profiles import Code
from api.schemas.queues import (
    ActionRead,
    BoardRead,
    ExchangeFilesRead,
    FiguresRead,
    LineRead,
    MoveCaller,
    OverflowNow,
    PrioritySet,
    QueueChange,
    QueueCreate,
    QueueRead,
    Stepping,
    VersionRead,
    VisitPage,
    VisitRead,
)
from crm import db, errors
from crm.db import Tx
from crm.dialling import queries as dialling
from crm.queues import actions, board, exchange_files, operations, queries, settings, statistics
from crm.queues.rules import Outcome
from crm.queues.statistics import Figures

router = Router("/queue")

LONGEST_SPAN = timedelta(days=370)


class SpanTooLong(errors.Invalid):
    """At most 370 days at once, the first one first."""

    code = "queue.span"


@router.get("")
@permission("queue.view")
async def list_queues(
    actor: CurrentActor, now: Now, with_retired: Annotated[bool, Query(description="Those out of use, too.")] = False
) -> Listing[QueueRead]:
    """List the queues, as they stand now."""
    rows = await db.run(actor, lambda tx: queries.every(tx, with_retired=with_retired, at=now))
    return Listing(items=[QueueRead.model_validate(row) for row in rows])


@router.post("", status_code=201, response_model=QueueRead)
@permission("queue.manage")
async def create_queue(request: Request, body: QueueCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Make a queue."""

    async def work(tx: Tx) -> dict[str, Any]:
        queue_id = await operations.create(tx, code=body.code, settings=body.settings, now=now)
        return await queries.one(tx, queue_id, at=now)

    return await create(request, key, body, work, answer=QueueRead)


@router.get("/board")
@permission("queue.view")
async def read_board(actor: CurrentActor, now: Now) -> BoardRead:
    """Show how each queue stands at this moment: what the WebSocket tells, for those who ask."""
    lines = await db.run(actor, lambda tx: board.of(tx, now=now))
    return BoardRead(as_of=now, queues=[LineRead.model_validate(each) for each in lines])


@router.websocket("/board/ws")
@permission("queue.view")
async def watch_board(socket: WebSocket) -> None:
    """Push the board whenever it changes, at most once a second, until one side ends it."""
    await socket.accept()
    boards: Boards = socket.app.state.boards
    access = watch_board.access  # type: ignore[attr-defined]
    try:
        async with asyncio.timeout(sockets.HELLO_WITHIN):
            hello = sockets.hello(await socket.receive_text())
            actor, expires_at = await sockets.whose(socket, hello.token, access)
            watcher = await boards.join(actor)
    except TimeoutError:
        await sockets.refuse(socket, sockets.Late(), 4408)
        return
    except errors.CrmError as refusal:
        await sockets.refuse(socket, refusal)
        return
    except WebSocketDisconnect:
        return
    try:
        await Watching(socket, access, watcher, expires_at).run()
    finally:
        boards.leave(watcher)


class Watching(sockets.Conversation):
    """The board of a firm, the latest one each time."""

    def __init__(self, socket: WebSocket, access: Any, watcher: Watcher, expires_at: Any) -> None:
        super().__init__(socket, access, watcher.actor, expires_at, watcher.wake)
        self.board = watcher.board

    def first(self) -> str:
        """Say how the board stands."""
        self.wake.clear()
        return self.board.frames["ready"]

    def next(self) -> str:
        """Tell the latest board, or that it has not changed."""
        if not self.wake.is_set():
            return self.board.heartbeat()
        self.wake.clear()
        return self.board.frames["board"]


@router.get("/statistics")
@permission("queue.manage", "kpi.view")
async def read_statistics(
    actor: CurrentActor,
    since: date,
    until: date,
    queue: Annotated[list[Code] | None, Query(max_length=100)] = None,
    by: Annotated[
        list[Literal["day", "queue", "all"]], Query(max_length=2, description="`all`: one line for everything.")
    ] = ["day", "queue"],  # noqa: B006
) -> Listing[FiguresRead]:
    """Count the calls of days (both included, each in its queue's own zone), by day, by queue, by both, or in all."""
    if not since <= until <= since + LONGEST_SPAN:
        raise SpanTooLong(fields={"until": "not before `since`, and within 370 days of it"})
    found = await db.run(
        actor,
        lambda tx: statistics.of_days(tx, since, until, queues=queue, by_day="day" in by, by_queue="queue" in by),
    )
    return Listing(items=[_figures(each) for each in found])


def _figures(found: Figures) -> FiguresRead:
    counts = found.counts
    derived = {name: getattr(counts, name) for name in FiguresRead.model_fields if hasattr(counts, name)}
    told = {"day": found.day, "queue": found.queue, "wait_p50": found.wait_p50, "wait_p90": found.wait_p90}
    return FiguresRead.model_validate({**asdict(counts), **derived, **told})


@router.get("/visits")
@permission("queue.manage", "audit.read")
async def list_visits(
    actor: CurrentActor,
    queue: Code | None = None,
    outcome: Outcome | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> VisitPage:
    """List stays of callers in queues, the latest first."""
    rows, following = await db.run(
        actor,
        lambda tx: queries.visits(
            tx, queue=queue, outcome=outcome, since=since, until=until, cursor=cursor or None, limit=limit
        ),
    )
    return VisitPage(items=[VisitRead.model_validate(row) for row in rows], next_cursor=following)


@router.get("/exchange-files")
@permission("queue.manage")
async def read_exchange_files(actor: CurrentActor, now: Now) -> ExchangeFilesRead:
    """Return what an Asterisk has to know of the queues: sections of queues.conf and extensions, as they stand now."""
    queues = list((await db.run(actor, lambda tx: settings.in_force(tx, at=now))).values())
    messages = await db.run(actor, dialling.messages)
    return ExchangeFilesRead(
        queues_conf=exchange_files.queues_conf(queues), extensions_conf=exchange_files.extensions_conf(queues, messages)
    )


@router.post("/callers/{call_id}/priority", status_code=201, response_model=ActionRead)
@permission("queue.manage")
async def prioritise_caller(
    call_id: UUID, request: Request, body: PrioritySet, now: Now, key: IdempotencyKey = None
) -> Response:
    """Give a waiting caller steps of priority, for a while."""

    async def work(tx: Tx) -> dict[str, Any]:
        how = {"reason": body.reason, "until": body.until, "now": now}
        return await queries.action(tx, await actions.prioritise(tx, call_id, body.priority, **how))

    return await create(request, key, body, work, answer=ActionRead)


@router.post("/callers/{call_id}/move", status_code=201, response_model=ActionRead)
@permission("queue.manage")
async def move_caller(
    call_id: UUID, request: Request, body: MoveCaller, now: Now, key: IdempotencyKey = None
) -> Response:
    """Send a waiting caller to another queue; who is not answered there by the end comes back."""

    async def work(tx: Tx) -> dict[str, Any]:
        how = {"reason": body.reason, "until": body.until, "now": now}
        return await queries.action(tx, await actions.move(tx, call_id, body.to_queue, **how))

    return await create(request, key, body, work, answer=ActionRead)


@router.post("/actions/{action_id}/end")
@permission("queue.manage")
async def end_action(action_id: UUID, actor: CurrentActor, now: Now) -> ActionRead:
    """End an action before its time: resume a queue, take back a priority, stop sending callers on."""

    async def work(tx: Tx) -> dict[str, Any]:
        await actions.end(tx, action_id, now=now)
        return await queries.action(tx, action_id)

    return ActionRead.model_validate(await db.run(actor, work))


@router.get("/{queue_id}")
@permission("queue.view")
async def read_queue(queue_id: UUID, actor: CurrentActor, now: Now) -> QueueRead:
    """Return a queue as it stands now."""
    return QueueRead.model_validate(await db.run(actor, lambda tx: queries.one(tx, queue_id, at=now)))


@router.put("/{queue_id}")
@permission("queue.manage")
async def change_queue(queue_id: UUID, body: QueueChange, actor: CurrentActor, now: Now) -> QueueRead:
    """Set a queue anew from an instant on; the past stays as it was."""

    async def work(tx: Tx) -> dict[str, Any]:
        await operations.change(tx, queue_id, body.settings, valid_from=body.valid_from, now=now)
        return await queries.one(tx, queue_id, at=now)

    return QueueRead.model_validate(await db.run(actor, work))


@router.delete("/{queue_id}", status_code=204)
@permission("queue.manage")
async def retire_queue(queue_id: UUID, actor: CurrentActor, now: Now) -> None:
    """Take a queue out of use, for good; its history stays."""
    await db.run(actor, lambda tx: operations.retire(tx, queue_id, now=now))


@router.get("/{queue_id}/history")
@permission("queue.view")
async def list_versions(queue_id: UUID, actor: CurrentActor) -> Listing[VersionRead]:
    """List every setting of a queue, planned ones too, the latest first."""
    rows = await db.run(actor, lambda tx: queries.history(tx, queue_id))
    return Listing(items=[VersionRead.model_validate(dict(row)) for row in rows])


@router.get("/{queue_id}/actions")
@permission("queue.view")
async def list_actions(queue_id: UUID, actor: CurrentActor) -> Listing[ActionRead]:
    """List what supervisors did about a queue, the latest hundred."""
    rows = await db.run(actor, lambda tx: queries.actions(tx, queue_id))
    return Listing(items=[ActionRead.model_validate(dict(row)) for row in rows])


@router.post("/{queue_id}/pause", status_code=201, response_model=ActionRead)
@permission("queue.manage")
async def pause_queue(
    queue_id: UUID, request: Request, body: Stepping, now: Now, key: IdempotencyKey = None
) -> Response:
    """Keep a queue's calls from its agents, for a while; callers go on waiting."""

    async def work(tx: Tx) -> dict[str, Any]:
        action_id = await actions.pause(tx, queue_id, reason=body.reason, until=body.until, now=now)
        return await queries.action(tx, action_id)

    return await create(request, key, body, work, answer=ActionRead)


@router.post("/{queue_id}/overflow", status_code=201, response_model=ActionRead)
@permission("queue.manage")
async def overflow_queue(
    queue_id: UUID, request: Request, body: OverflowNow, now: Now, key: IdempotencyKey = None
) -> Response:
    """Send everybody who waits in a queue, or comes to it, another way, for a while."""

    async def work(tx: Tx) -> dict[str, Any]:
        action_id = await actions.overflow(tx, queue_id, body.way, reason=body.reason, until=body.until, now=now)
        return await queries.action(tx, action_id)

    return await create(request, key, body, work, answer=ActionRead)
