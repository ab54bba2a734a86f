"""A firm at work with a loopback exchange: agents at telephones, leads in their hands, a bridge between."""

import asyncio
import csv
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from crm import clock, db, exchange
from crm.actor import Actor
from crm.calls import dialling, keeping
from crm.calls import operations as calls
from crm.calls.placing import Placed
from crm.consent import dnc, hours, own_hours
from crm.leads import intake
from crm.queues.visits import AUDIBLE_S
from crm.settings import settings
from dialer.ami.connection import Address, Connection, Limits
from dialer.bridge import Bridge, Wiring
from dialer.exchange.channels import Channel
from dialer.exchange.people import Party
from dialer.exchange.server import Exchange
from tests.conftest import Tenant
from tests.crm.agents.floor import signed_on
from tests.crm.queues.factory import make_queue

SPEED = 20.0
SECRET = SecretStr("lab")
PATIENT = Party(rings_s=1, stays_s=10_000, patience_s=10_000)
"""Answers after a second, stays."""
ALWAYS = [hours.Window(frozenset(range(1, 8)), 0, 1440)]
NUMBERS = (f"+9053212345{n:02}" for n in range(100))


@dataclass
class Floor:
    """All of it. `people`: who behaves otherwise than to answer and stay, by dial string."""

    tenant: Tenant
    exchange: Exchange
    bridge: Bridge
    work: "asyncio.Task[None]"
    people: dict[str, Party] = field(default_factory=dict)

    async def lead(self, number: str, owner: Actor | None = None) -> UUID:
        """Store a lead with a number, in somebody's hands."""
        now = clock.utc_now()
        stored = await db.run(
            self.tenant.system, lambda tx: intake.create(tx, intake.NewLead("api", phone=number), now=now)
        )
        who = (owner or self.tenant.sales_agent).user_id
        await db.run(
            self.tenant.system,
            lambda tx: tx.execute("update crm.lead set owner_id = $2::uuid where id = $1::uuid", stored.lead_id, who),
        )
        return stored.lead_id

    async def click(self, lead_id: UUID, agent: Actor | None = None) -> Placed:
        """Ask for a call as an agent."""
        who = agent or self.tenant.sales_agent
        return await db.run(who, lambda tx: calls.request(tx, lead_id, now=clock.utc_now()))

    async def call(self, call_id: UUID) -> dict[str, Any]:
        """Return a call's row."""
        rows = await self.rows("select * from crm.call where id = $1::uuid", call_id)
        if not rows:
            return {"status": "unheard"}
        return {**rows[0], "steps": [step["status"] for step in rows[0]["steps"]]}

    async def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Ask the database as the system."""
        async with db.transaction(self.tenant.system) as tx:
            return [dict(row) for row in await tx.fetch(sql, *args)]

    async def until(self, call_id: UUID, question: Callable[[Mapping[str, Any]], object]) -> dict[str, Any]:
        """Wait until a call is as wanted, and return it."""
        try:
            async with asyncio.timeout(60):
                while not question(row := await self.call(call_id)):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"the call stayed {await self.call(call_id)}") from None
        return row

    async def until_status(self, call_id: UUID, *statuses: str) -> dict[str, Any]:
        """Wait until a call is in one of some statuses."""
        return await self.until(call_id, lambda row: row["status"] in statuses)

    async def until_heard(self, call_id: UUID) -> dict[str, Any]:
        """Wait until a caller has heard an agent for long enough to have been answered."""
        row = await self.until_status(call_id, "connected")
        await asyncio.sleep((AUDIBLE_S + 1) / SPEED)
        return row

    async def until_asks(self, call_id: UUID, n: int) -> list[dict[str, Any]]:
        """Wait until so many asks of a call are answered, and return them in their order."""
        sql = (
            "select * from crm.exchange_ask where call_id = $1::uuid and answered_at is not null order by asked_at, id"
        )
        async with asyncio.timeout(60):
            while len(asks := await self.rows(sql, call_id)) < n:
                await asyncio.sleep(0.02)
        return asks

    async def agent_state(self, who: Actor | None = None) -> str:
        """Return how an agent (default: the firm's) stands."""
        [row] = await self.rows(
            "select state from crm.agent_state where user_id = $1::uuid and ended_at is null",
            (who or self.tenant.sales_agent).user_id,
        )
        return str(row["state"])

    async def until_agent(self, *states: str, who: Actor | None = None) -> None:
        """Wait until an agent (default: the firm's) stands in one of some states."""
        async with asyncio.timeout(60):
            while await self.agent_state(who) not in states:
                await asyncio.sleep(0.02)

    async def serve(self, queue: str, *, endpoint: str = "PJSIP/agent-1") -> None:
        """Have a queue, and an agent in it."""
        async with db.transaction(self.tenant.system) as tx:
            await make_queue(tx, queue, since=clock.utc_now() - timedelta(days=1))
        args = {"queue": queue, "endpoint": endpoint}
        async with db.transaction(self.tenant.system) as tx:
            ask_id = await exchange.ask(tx, exchange.Kind.queue_add, args, now=clock.utc_now())
        async with asyncio.timeout(60):
            while await self.rows("select from crm.exchange_ask where id = $1::uuid and answered_at is null", ask_id):
                await asyncio.sleep(0.02)

    async def visits(self, call_id: UUID) -> list[tuple[str, str, UUID | None]]:
        """Return the stays of a call in queues: which, how it ended, who served."""
        sql = "select queue, outcome, agent_user_id from crm.queue_visit where call_id = $1::uuid order by visit_no"
        return [tuple(row.values()) for row in await self.rows(sql, call_id)]  # type: ignore[misc]

    def arrives(self, number: str, queue: str) -> UUID:
        """Let a customer call in; return the id the call will have."""
        party = self.people.get(f"PJSIP/{number.removeprefix('+')}@carrier")
        return keeping.call_id_of(self.tenant.id, self.exchange.call_in(queue, number, party))

    async def dial(self, lead_id: UUID, **wanted: Any) -> dialling.Dialled:
        """Call a lead as a campaign does."""
        [lead] = await self.rows("select contact_id from crm.lead where id = $1::uuid", lead_id)
        dial = dialling.Dial(contact_id=lead["contact_id"], lead_id=lead_id, purpose="campaign", **wanted)
        return await db.run(self.tenant.system, lambda tx: dialling.dial(tx, dial, now=clock.utc_now()))

    async def list_number(self, number: str) -> None:
        """Put a number on the do-not-contact list."""
        now = clock.utc_now()
        await db.run(self.tenant.admin, lambda tx: dnc.add(tx, number, reason="asked", now=now))

    @asynccontextmanager
    async def out_of_reach(self) -> AsyncIterator[None]:
        """Have the bridge not reach the exchange while the block runs."""
        good, self.bridge.connection.address = self.bridge.connection.address, Address("127.0.0.1", 1, "x", SECRET)
        self.exchange.cut()
        async with asyncio.timeout(60):
            while not self.bridge.connection.trouble:
                await asyncio.sleep(0.01)
        try:
            yield
        finally:
            self.bridge.connection.address = good

    async def as_system(self, work: Callable[[db.Tx], Any]) -> Any:
        """Do something as the system."""
        return await db.run(self.tenant.system, work)

    async def kill_bridge(self) -> None:
        """Stop the bridge wherever it is, without a word, as by SIGKILL."""
        self.work.cancel()
        await asyncio.gather(self.work, return_exceptions=True)
        self.exchange.cut()

    async def restart_exchange(self) -> None:
        """Kill the exchange with all its calls, and start it anew at the same place."""
        await self.exchange.kill()
        await asyncio.sleep(0.1)
        await self.exchange.listen()

    @asynccontextmanager
    async def without_database(self) -> AsyncIterator[None]:
        """Take the database away from everybody while the block runs."""
        url = settings().owner_url("postgres").set(drivername="postgresql")
        name = settings().owner_url().database
        owner = await asyncpg.connect(url.render_as_string(hide_password=False))
        try:
            await owner.execute(f'alter database "{name}" with allow_connections false')
            await owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
            yield
        finally:
            await owner.execute(f'alter database "{name}" with allow_connections true')
            await owner.close()


async def may_call_always(tenant: Tenant, now: datetime) -> None:
    """Let people be called at every hour, so that tests do not sleep at night."""
    for country in ("TR", "DE", "GB"):
        await db.run(
            tenant.admin,
            lambda tx, country=country: own_hours.change(
                tx, country, ALWAYS, holidays=True, valid_from=own_hours._today(country, now), now=now
            ),
        )


def address_of(exchange: Exchange) -> Address:
    """Return how a bridge reaches an exchange."""
    return Address(exchange.host, exchange.port, exchange.username, SECRET)


LIMITS = Limits(connect=2, answer=2, probe_every=1, retry_first=0.05, retry_most=0.2)


@asynccontextmanager
async def bridged(
    tenant: Tenant, exchange: Exchange, *, records: Path | None = None, queue_log: Path | None = None
) -> AsyncIterator[tuple[Bridge, "asyncio.Task[None]"]]:
    """Have a bridge at work while the block runs."""
    bridge = Bridge(
        Connection(address_of(exchange), limits=LIMITS),
        tenant.id,
        wiring=Wiring(records=records, queue_log=queue_log, settles=timedelta(seconds=0.5)),
    )
    stop = asyncio.Event()
    work = asyncio.create_task(bridge.run(stop))
    try:
        yield bridge, work
    finally:
        stop.set()
        if not work.cancelled():
            await work


@asynccontextmanager
async def at_work(
    tenant: Tenant,
    *,
    speed: float = SPEED,
    recordings: Path | None = None,
    records: Path | None = None,
    queue_log: Path | None = None,
) -> AsyncIterator[Floor]:
    """Open the floor: the exchange, the bridge, the firm's agent signed on at `PJSIP/agent-1`.

    `recordings`: the folder into which the exchange writes what is said; none: it does not.
    """
    now = clock.utc_now()
    await may_call_always(tenant, now)
    people: dict[str, Party] = {}
    async with (
        Exchange(
            username="bridge",
            secret=SECRET,
            people=lambda who: people.get(who, PATIENT),
            speed=speed,
            recordings=recordings,
            queue_log=queue_log,
        ) as exchange,
        bridged(tenant, exchange, records=records, queue_log=queue_log) as (bridge, work),
    ):
        if records is not None:
            exchange.board.when_gone.append(lambda channel: write_record(records, exchange, channel))
        await signed_on(tenant, now, endpoint="PJSIP/agent-1")
        yield Floor(tenant, exchange, bridge, work, people)


def write_record(path: Path, exchange: Exchange, channel: Channel) -> None:
    """Write a call's record as `cdr_csv` does."""
    [entry] = [each for each in exchange.board.book if each["uniqueid"] == channel.uniqueid]
    end = datetime.fromtimestamp(exchange.board.now(), UTC).strftime("%Y-%m-%d %H:%M:%S")
    row = ["", NUMBER, "sales", "predictive", NUMBER, channel.name, "", "Queue", "sales", "", "", end,
           str(int(entry["seconds"])), str(int(entry["billable"])), str(entry["disposition"]), "DOCUMENTATION",
           channel.uniqueid, ""]  # fmt: skip
    with path.open("a", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerow(row)


NUMBER = "905321234567"
