"""A small floor for callbacks: a queue, its agent, people with telephones, and an exchange that tells what happens."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import db, ids
from crm.actor import Actor
from crm.agents import endpoints
from crm.agents import operations as agents
from crm.callbacks import chore
from crm.callbacks import operations as callbacks
from crm.callbacks.operations import Request
from crm.callbacks.rules import Kind
from crm.calls import hearing
from crm.calls.facts import AgentConnected, BridgeEntered, Fact, LegAnswered, LegEnded, LegStarted, QueueJoined
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.queues import members
from crm.queues.members import Told
from tests.conftest import Tenant
from tests.crm.queues.factory import make_queue

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
QUEUE = "sales"
ENDPOINT = "PJSIP/agent-1"
BUSY, NORMAL, NO_ANSWER, UNASSIGNED = 17, 16, 19, 1
"""Causes by ITU-T Q.850."""


async def open_queue(tenant: Tenant, since: datetime) -> None:
    """Make the queue; nobody is in it yet."""
    async with db.transaction(tenant.system) as tx:
        await make_queue(tx, QUEUE, since=since)


async def on_duty(tenant: Tenant, now: datetime, actor: Actor | None = None, endpoint: str = ENDPOINT) -> Actor:
    """Give somebody (default: the firm's agent) a telephone, sign them on, and have them serve the queue."""
    who = actor or tenant.sales_agent
    await db.run(tenant.admin, lambda tx: endpoints.give(tx, who.user_id, endpoint, now=now))
    await db.run(who, lambda tx: agents.sign_on(tx, now=now))
    async with db.transaction(tenant.system) as tx:
        await members.hear(tx, [Told(QUEUE, endpoint, is_member=True, is_paused=False)], now=now)
    return who


async def people(tenant: Tenant, count: int, now: datetime, *, first: int = 0) -> list[tuple[UUID, UUID]]:
    """Store leads with telephones; return contact and lead of each."""
    rows = [NewLead(source="api", phone=f"+90532{1_000_000 + first + n}", country="TR") for n in range(count)]
    made = await db.run(tenant.system, lambda tx: intake.create_many(tx, rows, now=now))
    return [(one.contact_id, one.lead_id) for one in made]


async def promise(tenant: Tenant, person: tuple[UUID, UUID], now: datetime, **more: Any) -> UUID:
    """Promise a person a callback, by the queue unless said otherwise."""
    actor = more.pop("actor", tenant.admin)
    wanted = {"kind": Kind.web, "contact_id": person[0], "lead_id": person[1], "queue": QUEUE, **more}
    return await db.run(actor, lambda tx: callbacks.request(tx, Request(**wanted), now=now))


async def turn(tenant: Tenant, now: datetime) -> None:
    """Have the callbacks looked after, once."""
    await chore.work(tenant.id, lambda: now)


async def one(tenant: Tenant, callback_id: UUID) -> asyncpg.Record:
    """Return a callback's row."""
    async with db.transaction(tenant.system) as tx:
        row = await tx.fetchrow("select * from crm.callback where id = $1::uuid", callback_id)
    assert row is not None
    return row


async def calls(tenant: Tenant, **of: Any) -> list[asyncpg.Record]:
    """Return the calls there are, the earliest first."""
    where = " and ".join(f"{name} = '{value}'" for name, value in of.items()) or "true"
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(f"select * from crm.call where {where} order by id")


async def attempts(tenant: Tenant, callback_id: UUID) -> list[tuple[int, str]]:
    """Return number and outcome of each attempt."""
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch(
            "select attempt_no, outcome from crm.callback_attempt where callback_id = $1::uuid order by attempt_no",
            callback_id,
        )
    return [tuple(row) for row in rows]


async def told(tenant: Tenant, callback_id: UUID) -> list[str]:
    """Return what was told of a callback, in its order."""
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch(
            "select event_type from crm.event_log where aggregate_id = $1::uuid order by id", callback_id
        )
    return [row["event_type"].removeprefix("callback.") for row in rows]


async def tell(tenant: Tenant, facts: list[Fact], now: datetime) -> None:
    """Tell facts as the exchange does."""
    await db.run(tenant.system, lambda tx: hearing.hear(tx, facts, now=now))


async def ends(tenant: Tenant, call_id: UUID, now: datetime, cause: int = NO_ANSWER) -> None:
    """Let the telephone of a call's customer ring, and the call end unanswered."""
    leg = {"call_id": str(call_id), "leg_id": str(call_id)}
    facts = [LegStarted(**leg, at=now), LegEnded(**leg, at=now + timedelta(seconds=20), cause=cause, was_up=False)]
    await tell(tenant, facts, now + timedelta(seconds=20))


async def waits(tenant: Tenant, call_id: UUID, now: datetime) -> None:
    """Let the customer of a call answer and wait in the queue."""
    leg = {"call_id": str(call_id), "leg_id": str(call_id), "at": now}
    facts = [LegStarted(**leg), LegAnswered(**leg), QueueJoined(**leg, queue=QUEUE, position=1)]
    await tell(tenant, facts, now)


async def talks(tenant: Tenant, call_id: UUID, now: datetime, *, until: datetime | None = None) -> None:
    """Let the customer of a call come to the agent through the queue, and the talk end."""
    await waits(tenant, call_id, now)
    leg = {"call_id": str(call_id), "leg_id": str(call_id)}
    later = now + timedelta(seconds=5)
    facts: list[Fact] = [
        AgentConnected(
            **leg, at=later, queue=QUEUE, interface=ENDPOINT, agent_leg=f"{call_id}-a", waited_s=5, ring_s=3
        ),
        BridgeEntered(**leg, at=later, bridge_id="b1"),
        BridgeEntered(call_id=str(call_id), leg_id=f"{call_id}-a", at=later, bridge_id="b1"),
    ]
    if until is not None:
        facts.append(LegEnded(**leg, at=until, cause=NORMAL, was_up=True))
        facts.append(LegEnded(call_id=str(call_id), leg_id=f"{call_id}-a", at=until, cause=NORMAL, was_up=True))
    await tell(tenant, facts, until or later)


async def calls_in(tenant: Tenant, person: tuple[UUID, UUID] | None, now: datetime) -> UUID:
    """Let somebody (None: a number nobody knows, withheld) call in; return the call, which waits in the queue."""
    call_id = ids.new()
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "insert into crm.call (tenant_id, id, direction, purpose, status, lead_id, contact_id, queue, requested_at,"
            " updated_at) values ($1::uuid, $2::uuid, 'inbound', 'inbound', 'ringing', $3::uuid, $4::uuid, $5::text,"
            " $6::timestamptz, $6::timestamptz)",
            tenant.id, call_id, person and person[1], person and person[0], QUEUE, now,
        )  # fmt: skip
    await waits(tenant, call_id, now)
    return call_id


async def answer_asks(tenant: Tenant, call_id: UUID) -> None:
    """Let the exchange say that it has done what was asked of a call."""
    async with db.transaction(tenant.system) as tx:
        await tx.execute("update crm.exchange_ask set status = 'done' where call_id = $1::uuid", call_id)


async def finish_wrap(tenant: Tenant, actor: Actor, now: datetime) -> None:
    """Make an agent ready again who is writing up a call."""
    await db.run(actor, lambda tx: agents.make_ready(tx, now=now))
