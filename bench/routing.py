"""How soon a lead is somebody's: from stored to assigned, at 50 leads a second, with the real worker beside us.

Both instants are the database's own, taken when the two events are written. The target is absolute, in seconds, so
there is no baseline; the same rounds say how long the event log alone takes to be read.
"""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import product, report
from crm import db, ids
from crm.actor import Actor
from crm.events import LiveReader
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.routing import operations as routing

RATE, SECONDS, ROUNDS, AGENTS = 50, 5, 5, 20
TARGET = 1.0

LAGS = """
select extract(epoch from given.created_at - made.created_at)::float8 as lag
  from crm.event_log made
  join crm.event_log given on given.tenant_id = made.tenant_id and given.aggregate_id = made.aggregate_id
                          and given.event_type = 'lead.assigned'
 where made.tenant_id = $1::uuid and made.event_type = 'lead.created' and made.created_at >= $2::timestamptz
"""


def main() -> None:
    """Print the figure."""
    with product.database():
        firm = product.run(prepare())
        santral = Path(sys.executable).parent / "santral"
        worker = subprocess.Popen([santral, "worker"], env=os.environ, stdout=subprocess.DEVNULL)
        try:
            rounds = product.run(measure(firm))
        finally:
            worker.terminate()
            worker.wait()
    report.figure("created to assigned, p95 in seconds", [each[0] for each in rounds], TARGET, at_least=False)
    report.figure("created to read from the log, p95 in seconds", [each[1] for each in rounds], TARGET, at_least=False)
    report.remark(f"{RATE} leads/s for {SECONDS} s a round, {AGENTS} agents, 1 worker process, fsync on")


async def prepare() -> product.Firm:
    """Make a firm whose agents have room for every lead."""
    firm = await product.make_firm()
    now = datetime.now(UTC)
    for n in range(AGENTS):
        agent = ids.new()
        async with db.transaction(Actor.system(firm.tenant_id)) as tx:
            await tx.execute(
                "insert into crm.user_account (tenant_id, id, email, name, roles, team_id, created_at, updated_at)"
                " values ($1::uuid, $2::uuid, $3::text, 'Agent', '{sales_agent}', $4::uuid, $5::timestamptz,"
                " $5::timestamptz)",
                firm.tenant_id, agent, f"agent{n}@bench.example", firm.team_id, now,
            )  # fmt: skip
        async with db.transaction(firm.admin) as tx:
            await routing.set_member(tx, firm.team_id, agent, weight=1 + n % 4, capacity=100_000, now=now)
    return firm


async def measure(firm: product.Firm) -> list[tuple[float, float]]:
    """Return of each round the p95 from created to assigned and from created to read, in seconds."""
    await store(firm, 1)
    await all_given(firm, within=60)
    await one_round(firm)
    return [await one_round(firm) for _ in range(ROUNDS)]


async def one_round(firm: product.Firm) -> tuple[float, float]:
    """Store leads at the rate for a while, wait until all are given out, and look at the events."""
    began = (await db.ask("select clock_timestamp() as at"))[0]["at"]
    stop = asyncio.Event()
    following = asyncio.create_task(follow(stop))
    for _ in range(SECONDS):
        loop = asyncio.get_running_loop()
        second = loop.time()
        for n in range(RATE):
            await asyncio.sleep(max(0.0, second + n / RATE - loop.time()))
            await store(firm, 1)
        await asyncio.sleep(max(0.0, second + 1 - loop.time()))
    await all_given(firm, within=30)
    stop.set()
    read = await following
    async with db.transaction(Actor.system(firm.tenant_id)) as tx:
        lags = [row["lag"] for row in await tx.fetch(LAGS, firm.tenant_id, began)]
    assert len(lags) == RATE * SECONDS
    return report.percentile(lags, 0.95), report.percentile(read, 0.95)


async def follow(stop: asyncio.Event) -> list[float]:
    """Read the log as the worker does; return how old each lead's event was when it was read."""
    reader, ages = LiveReader(), []
    await reader.start()
    while not stop.is_set():
        events = [event for event in await reader.read() if event.event_type == "lead.created"]
        ages += [(datetime.now(UTC) - event.created_at).total_seconds() for event in events]
        await asyncio.sleep(0.05)
    await reader.close()
    return ages


async def store(firm: product.Firm, how_many: int) -> None:
    """Store leads as any door does."""
    batch = [NewLead(source="bench", email=f"{ids.new().hex}@example.com") for _ in range(how_many)]
    now = datetime.now(UTC)
    await db.run(Actor.system(firm.tenant_id), lambda tx: intake.create_many(tx, batch, now=now))


async def all_given(firm: product.Firm, *, within: float) -> None:
    """Wait until no lead is without an owner."""
    async with asyncio.timeout(within):
        while True:
            async with db.transaction(Actor.system(firm.tenant_id)) as tx:
                waiting = await tx.fetchval(
                    "select exists (select from crm.lead where tenant_id = $1::uuid and owner_id is null)",
                    firm.tenant_id,
                )
            if not waiting:
                return
            await asyncio.sleep(0.05)
