"""The bridge under load: a hundred calls a second begun, a thousand up, every one of them stored as it happens.

The exchange is a process of its own on the same machine, at real speed; customers answer, wait in a queue and hang up
after about ten seconds. Each call is placed through the product (consent, event, ask), by a process of its own.
The lag of an event is the time from the exchange's own stamp on it to the commit that holds it. The targets are
absolute: two cores together with the exchange and the database.
"""

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

from bench import product, report
from cli.dialer import collect_seldom
from cli.keeper import free_port
from crm import clock, db, errors
from crm.actor import Actor
from crm.calls import dialling
from crm.calls.facts import Fact
from crm.consent import hours, own_hours
from crm.events import bell
from crm.leads import intake
from dialer.ami.connection import Address, Connection
from dialer.ami.messages import Message
from dialer.bridge import Bridge
from dialer.hearing import Ear

PER_SECOND, UP, ROUNDS, ROUND_S = 100, 1_000, 5, 8.0
WARM_S = 14.0
LAG_MS = 250.0
FAILOVER_S = 10.0
SECRET = "bench"

EXCHANGE = f"""
import asyncio, random, sys
from pydantic import SecretStr
from dialer.exchange.people import Party
from dialer.exchange.server import Exchange

chance = random.Random(1)

def people(who):
    if "@" not in who:
        return Party(rings_s=3600)
    return Party(rings_s=chance.uniform(0.5, 1.5), stays_s=60, patience_s=chance.uniform(8, 11))

async def main():
    async with Exchange(username="bench", secret=SecretStr({SECRET!r}), people=people, port=int(sys.argv[1])):
        await asyncio.Event().wait()

asyncio.run(main())
"""


def main() -> None:
    """Print the figures."""
    port = free_port()
    collect_seldom()
    with product.database(), exchange(port):
        rounds, stored, fell_behind = product.run(measure(port))
        took_s = product.run(fail_over(port))
    report.figure("bridge.event_lag_p95_ms", [report.percentile(each, 0.95) for each in rounds], LAG_MS, at_least=False)
    report.figure("bridge.calls_begun_per_second", fell_behind, PER_SECOND * 0.97, at_least=True)
    report.figure("bridge.calls_stored_to_their_end", [stored], 1.0, at_least=True)
    report.figure("bridge.failover_s", took_s, FAILOVER_S, at_least=False)
    report.figure("bridge.memory_after_an_hour_of_events", [memory()], 1.05, at_least=False)
    report.remark(f"{PER_SECOND} calls/s placed through the product, about {UP} up; exchange, bridge and database here")


@contextmanager
def exchange(port: int) -> Iterator[None]:
    """Run a loopback exchange as a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", EXCHANGE, str(port)])
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


async def prepare(n: int) -> product.Firm:
    """Make a firm, a queue and leads to call at any hour."""
    firm = await product.make_firm()
    now = clock.utc_now()
    windows = [hours.Window(frozenset(range(1, 8)), 0, 1440)]
    today = (now + timedelta(days=1)).date()  # somewhere in the country it may be tomorrow already
    for day in (today - timedelta(days=1), today):
        with suppress(errors.Invalid):
            await db.run(
                firm.admin,
                lambda tx, day=day: own_hours.change(tx, "TR", windows, holidays=True, valid_from=day, now=now),
            )
    for start in range(0, n, 500):
        leads = [intake.NewLead("api", phone=f"+90532{start + i + 1_000_000:07}") for i in range(500)]
        await db.run(Actor.system(firm.tenant_id), lambda tx, leads=leads: intake.create_many(tx, leads, now=now))
    return firm


async def measure(port: int) -> tuple[list[list[float]], float, list[float]]:
    """Return the lags (ms) of each round, the share of calls stored to their end, and how many a second were begun."""
    seconds = WARM_S + ROUNDS * ROUND_S
    firm = await prepare(int(PER_SECOND * seconds) + 500)
    bridge = Bridge(Connection(Address("127.0.0.1", port, "bench", SecretStr(SECRET))), firm.tenant_id)
    lags: list[float] = []
    tell = bridge.tell

    async def timed(facts: list[Fact]) -> None:
        await tell(facts)
        done = time.time()
        lags.extend(1000 * (done - fact.at.timestamp()) for fact in facts)

    bridge.tell = timed  # type: ignore[method-assign, assignment]
    stop = asyncio.Event()
    work = asyncio.create_task(bridge.run(stop))
    while bridge.connection.trouble:
        await asyncio.sleep(0.05)
    await bridge.connection.say("QueueAdd", {"Queue": "bench", "Interface": "PJSIP/agent-1", "Paused": "true"})
    rounds: list[list[float]] = []
    begun: list[float] = []
    placer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"from bench.bridge import place; place('{firm.tenant_id}', {seconds})"
    )
    while not await begun_since(firm, clock.utc_now() - timedelta(seconds=60)):
        await asyncio.sleep(0.1)
    await asyncio.sleep(WARM_S - 1)
    for _ in range(ROUNDS):
        lags.clear()
        since = clock.utc_now()
        await asyncio.sleep(ROUND_S - 0.5)
        begun.append(await begun_since(firm, since) / (clock.utc_now() - since).total_seconds())
        rounds.append(list(lags))
    await placer.wait()
    await asyncio.sleep(15)
    ended, placed = await counts(firm)
    stop.set()
    await work
    return rounds, ended / placed, begun


def place(tenant: str, seconds: float) -> None:
    """Begin calls at a steady rate for some seconds, in a process of its own: as API and campaigns do."""
    product.run(_place(UUID(tenant), seconds))


async def _place(tenant_id: UUID, seconds: float) -> None:
    system, loop = Actor.system(tenant_id), asyncio.get_running_loop()
    async with db.transaction(system) as tx:
        leads = await tx.fetch("select id, contact_id from crm.lead")
    waiting = (
        dialling.Dial(contact_id=each["contact_id"], lead_id=each["id"], purpose="campaign", queue="bench")
        for each in leads
    )
    async with bell.ringing():
        began, n, going = loop.time(), 0, set()
        while (passed := loop.time() - began) < seconds:
            for _ in range(max(0, int(passed * PER_SECOND) - n)):
                task = asyncio.create_task(_dial(system, next(waiting)))
                going.add(task)
                task.add_done_callback(going.discard)
                n += 1
            await asyncio.sleep(0.01)
        await asyncio.gather(*going)


async def _dial(system: Actor, wanted: dialling.Dial) -> None:
    await db.run(system, lambda tx: dialling.dial(tx, wanted, now=clock.utc_now()))


async def begun_since(firm: product.Firm, since: datetime) -> int:
    """Return how many calls were sent to the exchange since an instant."""
    async with db.transaction(Actor.system(firm.tenant_id)) as tx:
        n: int = await tx.fetchval(
            "select count(*) from crm.exchange_ask where kind = 'originate' and sent_at > $1::timestamptz", since
        )
    return n


async def counts(firm: product.Firm) -> tuple[int, int]:
    """Return how many calls have ended, and how many there are."""
    async with db.transaction(Actor.system(firm.tenant_id)) as tx:
        row = await tx.fetchrow(
            "select count(*) filter (where ended_at is not null) as ended, count(*) as n from crm.call"
        )
    assert row is not None
    return row["ended"], row["n"]


async def fail_over(port: int) -> list[float]:
    """Return the seconds from the death of a dialer to the next one's log-in, a few times."""
    environment = os.environ | {
        "SANTRAL_AMI_HOST": "127.0.0.1", "SANTRAL_AMI_PORT": str(port), "SANTRAL_AMI_USERNAME": "bench",
        "SANTRAL_AMI_SECRET": SECRET, "SANTRAL_AMI_TENANT": "bench", "SANTRAL_LOG_LEVEL": "INFO",
    }  # fmt: skip
    running = [start(environment)]
    took: list[float] = []
    try:
        await has_begun(running[0])
        for _ in range(3):
            running.append(start(environment))
            await asyncio.sleep(6)  # the one beside it is ready, and waits
            victim = running.pop(0)
            victim.kill()
            began = time.monotonic()
            await has_begun(running[0])
            took.append(time.monotonic() - began)
    finally:
        for process in running:
            process.kill()
    return took


def start(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start one dialer."""
    command = [sys.executable, "-c", "from cli.main import main; main()", "dialer"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


async def has_begun(process: "subprocess.Popen[bytes]") -> None:
    """Wait until a dialer says that it is at work."""
    assert process.stdout is not None
    while line := await asyncio.to_thread(process.stdout.readline):
        if b"bridge_begins" in line:
            return
    raise SystemExit("the dialer ended")


def memory() -> float:
    """Return how much larger the hearing of an hour's calls leaves the process than half an hour's did."""
    ear, sizes = Ear(), []
    for half in range(2):
        for n in range(PER_SECOND * 1800):
            for message in one_call(f"{half}-{n}"):
                ear.fact(message, now=NOON)
        gc.collect()
        sizes.append(resident())
    return sizes[1] / sizes[0]


NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def one_call(name: str) -> Iterator[Message]:
    """Yield what the exchange tells of one call, in short."""
    of = {"uniqueid": name, "linkedid": name, "channel": f"PJSIP/carrier-{name}"}
    for event, more in (
        ("Newchannel", {}), ("Newstate", {"channelstatedesc": "Ringing"}), ("Newstate", {"channelstatedesc": "Up"}),
        ("QueueCallerJoin", {"queue": "bench", "position": "1"}), ("QueueCallerLeave", {"queue": "bench"}),
        ("Hangup", {"cause": "16", "channelstatedesc": "Up"}),
    ):  # fmt: skip
        yield Message({"event": event, **of, **more, "timestamp": str((NOON + timedelta(0)).timestamp())})


def resident() -> float:
    """Return the bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return float(file.read().split()[1])


if __name__ == "__main__":
    main()
