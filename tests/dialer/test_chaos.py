"""Many calls while everything breaks: at the end our book and the exchange's agree, none lost, none doubled."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from crm import clock, db, errors
from crm import exchange as exchanges
from crm.agents import states
from crm.agents.rules import By, State
from crm.calls import dialling
from dialer.ami.connection import Connection
from dialer.bridge import Bridge, Wiring
from dialer.exchange.channels import Channel
from dialer.exchange.people import Answer, Party
from dialer.exchange.server import Exchange
from tests.conftest import Tenant
from tests.crm.agents.floor import hire, signed_on
from tests.crm.queues.factory import make_queue
from tests.dialer.floor import LIMITS, SECRET, Floor, address_of, may_call_always

CALLS = int(os.environ.get("SANTRAL_CHAOS_CALLS", "300"))
"""A thousand in `make soak`."""
AGENTS = 8
AT_ONCE = 25
ANSWERS = [Answer.answers] * 5 + [Answer.busy, Answer.silent, Answer.machine, Answer.congestion, Answer.unallocated]


class Crew:
    """One bridge after the other: each is killed without a word, and another takes over."""

    def __init__(self, tenant: Tenant, exchange: Exchange) -> None:
        self.tenant = tenant
        self.exchange = exchange
        self.begin()

    def begin(self) -> None:
        """Put a bridge to work."""
        connection = Connection(address_of(self.exchange), limits=LIMITS)
        self.bridge = Bridge(connection, self.tenant.id, wiring=Wiring(settles=timedelta(seconds=1)))
        self.stop = asyncio.Event()
        self.work = asyncio.create_task(self.bridge.run(self.stop))

    async def kill(self) -> None:
        """Kill the bridge, its connection with it."""
        self.work.cancel()
        await asyncio.gather(self.work, return_exceptions=True)
        self.exchange.cut()


@asynccontextmanager
async def crew(tenant: Tenant, exchange: Exchange) -> AsyncIterator[Crew]:
    """Have bridges at work."""
    those = Crew(tenant, exchange)
    try:
        yield those
    finally:
        those.stop.set()
        await asyncio.gather(those.work, return_exceptions=True)


def behaviour(chance: random.Random) -> Party:
    """Return how somebody behaves."""
    return Party(
        chance.choice(ANSWERS), rings_s=chance.uniform(1, 15), stays_s=chance.uniform(2, 60),
        patience_s=chance.uniform(3, 30),
    )  # fmt: skip


async def test_our_book_and_the_exchanges_agree(tenant: Tenant):
    chance, now = random.Random(7), clock.utc_now()
    await may_call_always(tenant, now)
    people: dict[str, Party] = {}
    async with (
        Exchange(
            username="bridge",
            secret=SECRET,
            people=lambda who: people.get(who, Party(rings_s=1, stays_s=300)),
            speed=20,
        ) as exchange,
        crew(tenant, exchange) as those,
    ):
        floor, made = Floor(tenant, exchange, those.bridge, those.work, people), watch(exchange)
        for n, agent in enumerate(await hire(tenant, AGENTS, now)):
            await signed_on(tenant, clock.utc_now(), actor=agent, endpoint=f"PJSIP/agent-{n}")
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, "sales", since=now)
        helpers = [asyncio.create_task(make_trouble(chance, floor, those)), asyncio.create_task(keep_serving(floor))]
        wanted = [await begin(floor, chance, n, people) for n in range(CALLS)]
        helpers[0].cancel()
        await asyncio.gather(helpers[0], return_exceptions=True)
        if those.work.done() or those.work.cancelling():  # the trouble ended in the middle of a kill
            await asyncio.gather(those.work, return_exceptions=True)
            those.begin()
        await settled(floor)
        helpers[1].cancel()

        calls = {row["id"]: row for row in await floor.rows("select * from crm.call")}
        assert set(wanted) <= set(calls)
        agree(calls, made)


async def keep_serving(floor: Floor) -> None:
    """Have every agent in the queue and nobody writing up: what a killed exchange forgot is asked for again."""
    while True:
        with suppress(*db.GONE):
            sql = "select user_id from crm.agent_state where state = 'wrap_up' and ended_at is null"
            for row in await floor.rows(sql):
                await floor.as_system(
                    lambda tx, row=row: states.move(
                        tx, row["user_id"], State.available, by=By.system, now=clock.utc_now()
                    )
                )
            for n in range(AGENTS):
                await floor.as_system(lambda tx, n=n: join(tx, f"PJSIP/agent-{n}"))
        await asyncio.sleep(0.5)


async def join(tx: db.Tx, endpoint: str) -> None:
    """Have one agent serve."""
    await exchanges.ask(tx, exchanges.Kind.queue_add, {"queue": "sales", "endpoint": endpoint}, now=clock.utc_now())


async def begin(floor: Floor, chance: random.Random, n: int, people: dict[str, Party]) -> UUID:
    """Begin one call: of a campaign, or a customer's; not more at once than a floor can take."""
    number = f"+90532{1000000 + n:07}"
    people[f"PJSIP/{number[1:]}@carrier"] = behaviour(chance)
    while True:
        with suppress(*db.GONE):
            async with asyncio.timeout(20):
                while len(floor.exchange.board.channels) > AT_ONCE:
                    await asyncio.sleep(0.02)
                lead = await floor.lead(number)
                [row] = await floor.rows("select contact_id from crm.lead where id = $1::uuid", lead)
                dial = dialling.Dial(
                    contact_id=row["contact_id"], lead_id=lead, purpose="campaign", queue="sales",
                    detects_machines=n % 2 == 0,
                )  # fmt: skip
                with suppress(errors.Conflict):
                    dialled = await db.run(
                        floor.tenant.system, lambda tx, dial=dial: dialling.dial(tx, dial, now=clock.utc_now())
                    )
                    assert dialled.call_id is not None, dialled.answer
                    return dialled.call_id
                [row] = await floor.rows("select id from crm.call where lead_id = $1::uuid", lead)
                return row["id"]
        await asyncio.sleep(0.05)


async def make_trouble(chance: random.Random, floor: Floor, those: Crew) -> None:
    """Break something every now and then: the line, the exchange, the bridge, the database."""
    while True:
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        match chance.choice(["cut", "cut", "exchange", "bridge", "bridge", "database"]):
            case "cut":
                floor.exchange.cut()
            case "exchange":
                await floor.restart_exchange()
            case "bridge":
                await those.kill()
                await asyncio.sleep(chance.uniform(0, 0.3))
                those.begin()
            case "database":
                async with floor.without_database():
                    await asyncio.sleep(chance.uniform(0.1, 0.5))


async def settled(floor: Floor) -> None:
    """Wait until no call is open any more."""
    sql = "select id, status, outcome, steps from crm.call where ended_at is null"
    try:
        async with asyncio.timeout(200):  # the bridge compares its calls with the exchange each minute
            while await floor.rows(sql) or floor.exchange.board.channels:
                await asyncio.sleep(0.2)
    except TimeoutError:
        left = [each.shown() for each in floor.exchange.board.channels.values()]
        asks = "select a.* from crm.exchange_ask a join crm.call c on c.id = a.call_id where c.ended_at is null"
        raise AssertionError(f"open: {await floor.rows(sql)}, {left}, {await floor.rows(asks)}") from None


def watch(exchange: Exchange) -> list[Channel]:
    """Return the list of every channel that the exchange makes from here on: a killed exchange writes no records."""
    made: list[Channel] = []
    make = exchange.board.make

    def making(*args: Any, **named: Any) -> Channel:
        channel = make(*args, **named)
        made.append(channel)
        return channel

    exchange.board.make = making  # type: ignore[method-assign]
    return made


def agree(calls: dict[UUID, dict[str, Any]], made: list[Channel]) -> None:
    """Hold each call of ours against what the exchange had of it."""
    first = [channel for channel in made if channel.uniqueid == channel.linkedid]
    had = {channel.uniqueid: channel for channel in first}
    assert len(had) == len(first), "a call was dialled twice"
    assert set(had) <= {str(call_id) for call_id in calls}, "the exchange had a call that we know nothing of"
    assert Counter(row["outcome"] for row in calls.values())["answered"] > len(calls) / 20, "hardly anybody spoke"
    for call_id, row in calls.items():
        channel = had.get(str(call_id))
        was_answered = channel is not None and channel.answered is not None
        if channel is None:
            assert row["outcome"] in ("failed", "unknown"), row
        elif row["outcome"] in ("answered", "abandoned", "dropped", "machine"):
            assert was_answered, row
        elif row["outcome"] in UNANSWERED:
            assert not was_answered, row
            assert row["outcome"] == OUTCOMES.get(channel.party.answer, row["outcome"]), row


UNANSWERED = frozenset({"busy", "no_answer", "congestion", "invalid", "cancelled", "rejected"})
OUTCOMES = {
    Answer.busy: "busy", Answer.silent: "no_answer", Answer.congestion: "congestion", Answer.unallocated: "invalid"
}  # fmt: skip
