"""What open clocks cost while none of them is due: CPU of the worker and of PostgreSQL, with 100,000 and without.

The real worker runs beside us the whole time; its tenant has clocks in one half of the rounds and none in the other,
in turns. What is measured is processor time, not time on the wall: 1 % is a hundredth of one core. Afterwards, without
a worker beside: how many clocks that come due at once are told of in a second, each with a reminder, the breach and
its first escalation, against writing as many events in statements of the same size.
"""

import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import psutil

from bench import product, report
from crm import clock, db, events, ids
from crm.actor import Actor
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.sla import clocks, operations
from crm.sla.rules import Escalation, Kind, Recipient, Rule

CLOCKS, ROUNDS, SECONDS = 100_000, 5, 20.0
SETTLES = 4.0
"""Seconds given to the worker and the server to come to rest after the clocks were changed."""
TARGET = 1.0
DUE, BATCH = 1_000, 100
"""Clocks that come due in a round, and how many are settled in one transaction, as the worker does."""
TARGET_DUE = 0.2
RULE = Rule(
    code="a-minute", kind=Kind.first_response, target_s=60, time="calendar", reminders=(-10,),
    escalations=(Escalation(to=Recipient.owner),),
)  # fmt: skip
STEPS = 3

FILL = """
insert into crm.sla_clock (tenant_id, id, lead_id, cycle_no, kind, rule_version, rule_code, state, status, time_basis,
                           target_s, started_at, consumed_s, counted_until, due_at, next_at)
select $1::uuid, gen_random_uuid(), gen_random_uuid(), 1, 'follow_up', 0, 'interested', 'running', 'interested',
       'business', 14400, now(), 0, now(), now() + interval '1 day' * (1 + random()),
       now() + interval '1 day' * (1 + random())
  from generate_series(1, $2::int)
"""


def main() -> None:
    """Print the figure."""
    with product.database() as url:
        firm = product.run(product.make_firm())
        worker = subprocess.Popen(
            [Path(sys.executable).parent / "santral", "worker"], env=os.environ, stdout=subprocess.DEVNULL
        )
        try:
            time.sleep(5)
            rounds = [one_round(firm, url, worker) for _ in range(ROUNDS + 1)][1:]
        finally:
            worker.terminate()
            worker.wait()
        without, with_clocks = zip(*rounds, strict=True)
        more = [ours - base for base, ours in rounds]
        report.figure("100,000 open clocks at rest, % of a core", more, TARGET, at_least=False)
        report.remark(f"at rest {report.median_of(without):.2f} %, with clocks {report.median_of(with_clocks):.2f} %")
        report.remark(
            f"{SECONDS:g} s each, {ROUNDS} rounds after a warm-up, worker and server, 1 worker process, fsync on"
        )
        product.run(come_due())


async def come_due() -> None:
    """Print how fast clocks are told of that come due at once."""
    firm = await product.make_firm("due")
    actor, began = Actor.system(firm.tenant_id), clock.utc_now()
    await db.run(actor, lambda tx: operations.begin(tx, since=began, now=began))
    await db.run(firm.admin, lambda tx: operations.publish(tx, [RULE], now=began))
    rounds = [(await raw(actor), await tell(actor)) for _ in range(ROUNDS + 1)][1:]
    base, ours = zip(*rounds, strict=True)
    shares = [of_raw / of_ours for of_raw, of_ours in rounds]
    report.figure("clocks that come due, share of raw events", shares, TARGET_DUE, at_least=True)
    report.remark(f"{DUE / report.median_of(ours):,.0f} clocks/s with {STEPS} events each, one connection;"
                  f" raw {DUE / report.median_of(base):,.0f}/s")  # fmt: skip


async def tell(actor: Actor) -> float:
    """Return the seconds in which clocks are told of that come due."""
    now = clock.utc_now()
    leads = [NewLead("api", email=f"{ids.new().hex}@bench.example") for _ in range(DUE)]
    made = await db.run(actor, lambda tx: intake.create_many(tx, leads, now=now))
    lead_ids = [each.lead_id for each in made]
    await settle(actor, lead_ids, now)
    began = time.perf_counter()
    await settle(actor, lead_ids, now + timedelta(seconds=RULE.target_s))
    return time.perf_counter() - began


async def settle(actor: Actor, lead_ids: list[UUID], now: datetime) -> None:
    """Settle leads as the worker does."""
    for start in range(0, DUE, BATCH):
        some = lead_ids[start : start + BATCH]
        await db.run(actor, lambda tx, some=some: clocks.settle(tx, some, now=now))


async def raw(actor: Actor) -> float:
    """Return the seconds in which as many events of the same size are written and nothing else."""
    now = clock.utc_now()
    payload = {"clock_id": ids.new(), "kind": "first_response", "step": "breach", "cycle_no": 1, "due_at": now,
               "rule": "a-minute", "to": "owner", "user_ids": [actor.tenant_id], "team_id": None}  # fmt: skip
    happened = [("lead", ids.new(), "sla.breached", payload) for _ in range(BATCH * STEPS)]
    began = time.perf_counter()
    for _ in range(0, DUE, BATCH):
        async with db.transaction(actor) as tx:
            await events.record_many(tx, happened, at=now)
    return time.perf_counter() - began


def one_round(firm: product.Firm, url: str, worker: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Return the share of a core (in %) at rest, without clocks and with."""
    product.run(change(firm, url, 0))
    without = at_rest(url, worker)
    product.run(change(firm, url, CLOCKS))
    return without, at_rest(url, worker)


async def change(firm: product.Firm, url: str, how_many: int) -> None:
    """Let the firm have so many open clocks, none of them due before tomorrow."""
    owner = await asyncpg.connect(url)
    await owner.execute("truncate crm.sla_clock")
    if how_many:
        async with db.transaction(Actor.system(firm.tenant_id)) as tx:
            await tx.execute(FILL, firm.tenant_id, how_many)
    await owner.execute("vacuum analyze crm.sla_clock")
    await owner.execute("checkpoint")
    await owner.close()


def at_rest(url: str, worker: subprocess.Popen[bytes]) -> float:
    """Return how much of a core worker and server use while nothing happens, in %."""
    time.sleep(SETTLES)
    watched = [psutil.Process(worker.pid), *product.run(servers(url))]
    before, began = sum(map(seconds_of, watched)), time.monotonic()
    time.sleep(SECONDS)
    return 100 * (sum(map(seconds_of, watched)) - before) / (time.monotonic() - began)


async def servers(url: str) -> list[psutil.Process]:
    """Return the server's processes but the one that is asked."""
    connection = await asyncpg.connect(url)
    own = psutil.Process(await connection.fetchval("select pg_backend_pid()"))
    postmaster = own.parent()
    assert postmaster is not None, "a session is a child of the server"
    found = [postmaster, *(each for each in postmaster.children() if each != own)]
    await connection.close()
    return found


def seconds_of(process: psutil.Process) -> float:
    """Return the processor time of a process so far; of one that ended meanwhile, nothing."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
