"""May I contact? Asked one by one and for a page of 50, against the bare statement that reads the facts.

Ours: the firm's settings in force, the facts in one statement, the hours of everywhere the person may be, the rules.
Baseline: the same statement with the same values on the same connection, its rows thrown away. People have consents,
calls behind them, and one in ten a number from a country of many zones. In turns, one connection, inside a transaction.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from bench import product, report
from crm import consent, db
from crm.actor import Actor
from crm.consent import Channel, Purpose, queries
from crm.db import Tx
from crm.leads import intake
from crm.leads.intake import Consent, NewLead

PEOPLE, ASKS, PAGE, ROUNDS = 5_000, 500, 50, 5
CALLS = 3
NOON = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
"""A Tuesday, half past twelve in Istanbul, night in most of America."""
ALONE, IN_PAGES = 0.25, 0.5
"""Shares of the bare statement's rate."""

CALLED = """
insert into crm.activity (tenant_id, id, contact_id, kind, channel, direction, outcome, detail, occurred_at,
                          created_at)
select $1::uuid, gen_random_uuid(), c.id, 'call', 'call', 'outbound', 'busy', '{}', $2::timestamptz - n * $3::interval,
       $2::timestamptz
  from crm.contact c, generate_series(1, $4::int) n where c.tenant_id = $1::uuid
"""


def main() -> None:
    """Print the figures."""
    with product.database():
        product.run(measure())


async def measure() -> None:
    """Ask in turns, ours and bare, alone and by the page."""
    firm = await product.make_firm()
    actor = Actor.system(firm.tenant_id)
    people = await fill(actor)
    async with db.transaction(actor) as tx:
        for name, size, target in (("may contact, alone", 1, ALONE), ("may contact, page of 50", PAGE, IN_PAGES)):
            ours, bare = await in_turns(tx, people, size)
            report.figure(f"{name} / bare statement", [a / b for a, b in zip(ours, bare, strict=True)], target,
                          at_least=True)  # fmt: skip
            asks, statements = report.median_of(ours), report.median_of(bare)
            people_a_second = f"{asks * size:,.0f} people a second, bare {statements * size:,.0f}"
            report.remark(f"{people_a_second}; {1000 / asks:.2f} ms an ask, bare {1000 / statements:.2f}")
    report.remark(f"{PEOPLE} people, {CALLS} calls each, {ASKS} people a round, 1 connection, 1 process, fsync on")


async def fill(actor: Actor) -> list[UUID]:
    """Store people with an enquiry, a consent and calls; return their ids."""
    people: list[UUID] = []
    for start in range(0, PEOPLE, 500):
        leads = [
            NewLead(
                "bench",
                phone=f"+1212{5550000 + n}" if n % 10 == 0 else f"+90532{n:07}",
                email=f"p{n}@example.com",
                consents=[Consent("call", "granted"), Consent("email", "denied")],
            )
            for n in range(start, start + 500)
        ]
        stored = await db.run(actor, lambda tx, leads=leads: intake.create_many(tx, leads, now=NOON - timedelta(30)))
        people += [each.contact_id for each in stored]
    async with db.transaction(actor) as tx:
        await tx.execute(CALLED, actor.tenant_id, NOON, timedelta(hours=30), CALLS)
    return people


async def in_turns(tx: Tx, people: list[UUID], size: int) -> tuple[list[float], list[float]]:
    """Return the rates (asks a second) of ours and of the bare statement, round by round after a warm-up."""
    pages = count()

    async def ours() -> Any:
        return await consent.may_contact_many(tx, take(people, next(pages), size), Channel.call, Purpose.marketing,
                                              at=NOON)  # fmt: skip

    async def bare() -> Any:
        return await tx.fetch(
            queries.FACTS, tx.actor.tenant_id, take(people, next(pages), size), "call", "phone", ["marketing"], NOON,
            365, ["not_interested"], [168], queries.PENDING,
        )  # fmt: skip

    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 + ROUNDS):
        for work, kept in zip((ours, bare), rates, strict=True):
            kept.append(await rate(work, ASKS // size))
    return rates[0][1:], rates[1][1:]


def take(people: list[UUID], nth: int, size: int) -> list[UUID]:
    """Return the nth page of people, round and round."""
    start = nth * size % len(people)
    return people[start : start + size]


async def rate(work: Callable[[], Awaitable[Any]], times: int) -> float:
    """Return how often a second something is done."""
    began = time.perf_counter()
    for _ in range(times):
        assert await work()
    return times / (time.perf_counter() - began)
