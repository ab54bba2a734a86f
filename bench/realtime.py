"""Three hundred people at their screens: how long after its commit an agent's own call event is there, and the board.

Each has two WebSockets open with one API process: the events that are theirs, and the board of the queues. Calls of
random agents happen at a steady rate while callers come and go in five queues, several times a second. Times are by
one clock, from the moment the commit is acknowledged to the moment the client has the message. The targets are
absolute. Clients, writer, API process and database share the machine.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from websockets.asyncio.client import ClientConnection, connect

from bench import product, report
from crm import db, events, ids
from crm.actor import Actor
from crm.events import bell
from crm.queues import operations, visits
from crm.queues.rules import Settings
from crm.queues.visits import Stay
from crm.users import tokens

CLIENTS, RATE, ROUNDS, SECONDS = 300, 50, 5, 10.0
QUEUES, COMING = 5, 3
"""Queues, and callers who come, and go, in a second."""
WITHIN_MS = 500.0
BOARD_WITHIN_MS = 1000.0


@dataclass
class Heard:
    """What came to the clients in a round: milliseconds of events and boards, and when each client had a board."""

    committed: dict[str, float] = field(default_factory=dict)
    event_ms: list[float] = field(default_factory=list)
    board_ms: list[float] = field(default_factory=list)
    boards: dict[int, list[float]] = field(default_factory=dict)


def main() -> None:
    """Print the figures."""
    with product.database():
        firm, people = product.run(prepare())
        with product.api() as port:
            rounds = product.run(measure(firm, people, port))
    events_p95 = [report.percentile(each.event_ms, 0.95) for each in rounds]
    boards_p95 = [report.percentile(each.board_ms, 0.95) for each in rounds]
    report.figure("realtime.own_call_event_p95_ms", events_p95, WITHIN_MS, at_least=False)
    report.figure("realtime.board_p95_ms", boards_p95, BOARD_WITHIN_MS, at_least=False)
    report.figure("realtime.boards_per_second_each", [most_per_second(each) for each in rounds], 1.1, at_least=False)
    report.figure("realtime.events_heard_of_told", [heard_share(each) for each in rounds], 1.0, at_least=True)
    report.remark(f"{CLIENTS} people with two WebSockets each, {RATE} call events/s, {COMING} callers/s come and go")
    report.remark("1 API process; clients, writer and database on the same machine, fsync on")


def most_per_second(heard: Heard) -> float:
    """Return how many boards a client got in a second, in the mean of the client that got the most."""
    return max((len(times) - 1) / (times[-1] - times[0]) for times in heard.boards.values() if len(times) > 2)


def heard_share(heard: Heard) -> float:
    """Return which share of the events told came to their agent."""
    return len(heard.event_ms) / len(heard.committed)


async def prepare() -> tuple[product.Firm, list[UUID]]:
    """Make a firm with queues and three hundred agents."""
    firm, now = await product.make_firm(), datetime.now(UTC)
    people = [ids.new() for _ in range(CLIENTS)]
    async with db.transaction(firm.admin) as tx:
        await tx.executemany(
            "insert into crm.user_account (tenant_id, id, email, name, roles, team_id, created_at, updated_at)"
            " values ($1::uuid, $2::uuid, $3::text, 'Bench', '{sales_agent}', $4::uuid, $5::timestamptz,"
            " $5::timestamptz)",
            [(firm.tenant_id, who, f"agent{n}@bench.example", firm.team_id, now) for n, who in enumerate(people)],
        )
        for n in range(QUEUES):
            settings = Settings(labels={"tr": f"Kuyruk {n}", "en": f"Queue {n}"}, hours="always")
            await operations.create(tx, code=f"queue-{n}", settings=settings, now=now)
    return firm, people


async def measure(firm: product.Firm, people: Sequence[UUID], port: int) -> list[Heard]:
    """Let everybody listen; return what they heard, round by round, the first one left out."""
    current = [Heard()]
    joined = [asyncio.Event() for _ in range(2 * len(people))]
    works = []
    for n, who in enumerate(people):
        token = tokens.issue(
            tenant=firm.tenant_id, user=who, team=firm.team_id, roles=["sales_agent"], now=datetime.now(UTC)
        )
        works.append(asyncio.create_task(listen(port, token, current, joined[2 * n])))
        works.append(asyncio.create_task(watch(port, token, n, current, joined[2 * n + 1])))
        if n % 20 == 0:
            await asyncio.sleep(0.1)
    await asyncio.gather(*(each.wait() for each in joined))
    async with bell.ringing():  # as every process does that writes events
        rounds = [await one_round(firm, people, current) for _ in range(ROUNDS + 1)]
    for work in works:
        work.cancel()
    await asyncio.gather(*works, return_exceptions=True)
    return rounds[1:]


async def greet(socket: ClientConnection, token: str) -> None:
    """Say hello, and wait until one listens."""
    await socket.send(json.dumps({"type": "hello", "token": token}))
    await socket.recv()


async def listen(port: int, token: str, current: list[Heard], joined: asyncio.Event) -> None:
    """Hear one agent's events."""
    async with connect(f"ws://127.0.0.1:{port}/realtime") as socket:
        await greet(socket, token)
        joined.set()
        async for text in socket:
            came, frame = time.time(), json.loads(text)
            for event in frame["events"]:
                if told := current[0].committed.get(event["aggregate_id"]):
                    current[0].event_ms.append(1000 * (came - told))


async def watch(port: int, token: str, n: int, current: list[Heard], joined: asyncio.Event) -> None:
    """Hear the boards; how late each is shows by the youngest caller on it that was not on the one before."""
    seen: set[str] = set()
    async with connect(f"ws://127.0.0.1:{port}/queue/board/ws") as socket:
        await greet(socket, token)
        joined.set()
        async for text in socket:
            came, frame = time.time(), json.loads(text)
            heard = current[0]
            if frame["type"] != "board":
                continue
            heard.boards.setdefault(n, []).append(came)
            callers = {caller["call_id"] for line in frame["queues"] for caller in line["callers"]}
            fresh = [heard.committed[each] for each in callers - seen if each in heard.committed]
            heard.board_ms += [1000 * (came - told) for told in fresh]
            seen = callers


async def one_round(firm: product.Firm, people: Sequence[UUID], current: list[Heard]) -> Heard:
    """Let calls and callers happen at their rates for a while, and what was told come in."""
    heard = current[0] = Heard()
    of_calls: set[str] = set()
    coming = asyncio.create_task(come_and_go(firm, heard))
    began = time.perf_counter()
    for n in range(int(RATE * SECONDS)):
        await asyncio.sleep(max(0.0, began + n / RATE - time.perf_counter()))
        call_id = ids.new()
        of_calls.add(str(call_id))
        told = {"agent_user_id": random.choice(people), "direction": "inbound"}
        async with db.transaction(Actor.system(firm.tenant_id)) as tx:
            await events.record(tx, "call", call_id, "call.ringing", told, at=datetime.now(UTC))
        heard.committed[str(call_id)] = time.time()
    await coming
    await asyncio.sleep(2)
    heard.committed = {call_id: at for call_id, at in heard.committed.items() if call_id in of_calls}
    return heard


async def come_and_go(firm: product.Firm, heard: Heard) -> None:
    """Let callers come to the queues, and give up after three seconds."""
    waiting: list[tuple[UUID, Stay]] = []
    began = time.perf_counter()
    for n in range(int(COMING * SECONDS)):
        await asyncio.sleep(max(0.0, began + n / COMING - time.perf_counter()))
        call_id, now = ids.new(), datetime.now(UTC)
        stay = Stay(1, f"queue-{n % QUEUES}", now)
        async with db.transaction(Actor.system(firm.tenant_id)) as tx:
            await tx.execute(
                "insert into crm.call (tenant_id, id, direction, purpose, status, requested_at, updated_at)"
                " values ($1::uuid, $2::uuid, 'inbound', 'inbound', 'queued', $3::timestamptz, $3::timestamptz)",
                firm.tenant_id, call_id, now,
            )  # fmt: skip
            await visits.keep(tx, call_id, [stay], now=now)
        heard.committed[str(call_id)] = time.time()
        waiting.append((call_id, stay))
        if len(waiting) > 3 * COMING:
            await give_up(firm, *waiting.pop(0))
    for call_id, stay in waiting:
        await give_up(firm, call_id, stay)


async def give_up(firm: product.Firm, call_id: UUID, stay: Stay) -> None:
    """Let a caller hang up."""
    now = datetime.now(UTC)
    gone = Stay(1, stay.queue, stay.enqueued_at, left_at=now, ended_at=now, outcome="abandoned")
    async with db.transaction(Actor.system(firm.tenant_id)) as tx:
        await visits.keep(tx, call_id, [gone], now=now)
