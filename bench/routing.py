"""How fast leads are given out: decisions alone, decisions stored, and from stored to assigned with a real worker.

Targets are absolute (decisions a second, seconds), so there is no baseline. Decisions are made among 300 agents by 50
rules of every level; alone they are counted by processor time, since they wait for nothing. Of the last figure both
instants are the database's own, taken when the two events are written; the same rounds say how long the event log
alone takes to be read.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from bench import product, report
from crm import db, ids
from crm.actor import Actor
from crm.events import LiveReader
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.routing import cascade, rules, rulesets, sets
from crm.routing import operations as routing
from crm.routing.floor import Floor, Person, Seat
from crm.routing.rules import Enquiry
from crm.users import profiles

RATE, SECONDS, ROUNDS, AGENTS = 50, 5, 5, 20
TARGET = 1.0

LAGS = """
select extract(epoch from given.created_at - made.created_at)::float8 as lag
  from crm.event_log made
  join crm.event_log given on given.tenant_id = made.tenant_id and given.aggregate_id = made.aggregate_id
                          and given.event_type = 'lead.assigned'
 where made.tenant_id = $1::uuid and made.event_type = 'lead.created' and made.created_at >= $2::timestamptz
"""


PURE, STORED, FLOOR, RULES = 5_000, 500, 300, 50
LEADS = 2_000


def main() -> None:
    """Print the figures."""
    pure()
    with product.database():
        report.figure("decisions stored, a second", product.run(stored()), STORED, at_least=True)
        report.remark(f"{LEADS} leads a round, {FLOOR} agents, {RULES} rules, 1 connection, with events and timeline")
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


def definition(team_id: UUID, users: Sequence[UUID]) -> dict[str, Any]:
    """Return fifty rules of every level, in turns of the team, of skills with rings, and of pools of twenty agents."""
    team = {"kind": "team", "team_id": str(team_id)}
    skills = {"kind": "skills", "require": {"implant": 2}, "relax": [{"after_minutes": 10, "require": {}}]}
    levels = ("campaign", "adset", "keyword", "geography", "platform")

    def pool(n: int) -> dict[str, Any]:
        some = (users * 2)[n * 5 : n * 5 + 20]
        return {"kind": "pool", "shares": [{"user_id": str(user), "percent": 5} for user in some]}

    return {
        "rules": [
            {
                "name": f"rule-{n}",
                "when": {levels[n % 5]: [f"value {n}", f"other {n}"]},
                "target": (team, skills, pool(n))[n % 3],
            }
            for n in range(RULES)
        ],
        "default": {"target": team},
    }


def shape(n: int) -> dict[str, str]:
    """Return the n-th lead's attribution: every rule is met, and one lead in ten falls through all of them."""
    level = ("campaign", "adset", "keyword", "geography", "platform")[n % 5]
    return {level: f"value {n % 55}"}


def pure() -> None:
    """Print how many decisions a second of processor time one process makes, nothing stored."""
    team, now = ids.new(), datetime.now(UTC)
    people = [
        Person(ids.new(), skills={"implant": n % 6}, languages=frozenset({"tr"} if n % 3 else {"tr", "en"}))
        for n in range(FLOOR)
    ]
    seats = [Seat(team, person.user_id, 1 + n % 4, 1000) for n, person in enumerate(people)]
    found = cascade.compile_rules(rulesets.read(definition(team, [person.user_id for person in people])))
    leads = [Enquiry(ids.new(), now, language="en" if n % 4 == 0 else "tr", **shape(n)) for n in range(LEADS)]
    rates = []
    for _ in range(1 + ROUNDS):
        floor = Floor(seats, people, {}, default_team=team)
        began = time.process_time()
        decisions = rules.decide_all(found, floor, leads, now)
        rates.append(LEADS / (time.process_time() - began))
        assert all(each.user_id for each in decisions)
    report.figure("decisions alone, a second of CPU", rates[1:], PURE, at_least=True)
    report.remark(f"{LEADS} leads a round, {FLOOR} agents, {RULES} rules, 1 process, no database")


async def stored() -> list[float]:
    """Return how many decisions a second are stored, with assignments, events and timeline, in each round."""
    firm = await product.make_firm("floor")
    now = datetime.now(UTC)
    users = [ids.new() for _ in range(FLOOR)]
    async with db.transaction(Actor.system(firm.tenant_id)) as tx:
        await tx.executemany(
            "insert into crm.user_account (tenant_id, id, email, name, roles, team_id, created_at, updated_at) values"
            " ($1::uuid, $2::uuid, $3::text, 'Agent', '{sales_agent}', $4::uuid, $5::timestamptz, $5::timestamptz)",
            [(firm.tenant_id, user, f"{user}@floor.example", firm.team_id, now) for user in users],
        )
        await tx.executemany(
            "insert into crm.routing_member (tenant_id, team_id, user_id, weight, capacity, updated_at)"
            " values ($1::uuid, $2::uuid, $3::uuid, $4::int, 100000, $5::timestamptz)",
            [(firm.tenant_id, firm.team_id, user, 1 + n % 4, now) for n, user in enumerate(users)],
        )
    for n, user in enumerate(users):
        skills = {"skills": {"implant": 1 + n % 5}}
        await db.run(firm.admin, lambda tx, user=user, skills=skills: profiles.change(tx, user, skills, now=now))
    async with db.transaction(firm.admin) as tx:
        drafted = await sets.draft(tx, name="bench", definition=definition(firm.team_id, users), now=now)
        await sets.publish(tx, drafted, now=now)
    rates = []
    for _ in range(1 + ROUNDS):
        arrived = await arrive(firm)
        began = time.perf_counter()
        for start in range(0, LEADS, routing.BATCH):
            part = arrived[start : start + routing.BATCH]
            await db.run(
                Actor.system(firm.tenant_id), lambda tx, part=part: routing.route(tx, part, now=datetime.now(UTC))
            )
        rates.append(LEADS / (time.perf_counter() - began))
        await all_given(firm, within=1)
    return rates[1:]


async def arrive(firm: product.Firm) -> list[UUID]:
    """Store a round's leads; return their ids."""
    arrived: list[UUID] = []
    for start in range(0, LEADS, 500):
        batch = [NewLead(source="bench", email=f"{ids.new().hex}@example.com", **shape(start + n)) for n in range(500)]
        now = datetime.now(UTC)
        done = await db.run(
            Actor.system(firm.tenant_id), lambda tx, batch=batch, now=now: intake.create_many(tx, batch, now=now)
        )
        arrived += [one.lead_id for one in done]
    return arrived


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
