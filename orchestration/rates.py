"""Rates of exchange: pulled from the firm's central bank or read from a file, judged by the rate before, landed.

A day on which a bank publishes nothing has no rates of its own: the last ones stand (`dim_fx_daily`). What breaks a
rule is held back with its reason and lands with the first pull after somebody let it in (`crm.quarantine`).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from crm import clock, db
from crm.actor import Actor
from crm.settings import settings
from expectations.rules import RATES
from ingestion import landing
from ingestion.rates import banks
from ingestion.rates.banks import Bank
from ingestion.rates.tables import Table
from orchestration import border, warehouse

AGAIN = timedelta(days=7)
"""How far back a daily pull looks: a day that was missed comes with a later one, and so does a correction."""
LIKE = timedelta(days=10)
"""Days within which there was a rate to compare with."""
Source = Literal["auto", "tcmb", "ecb", "none"]
FIRMS = "select tenant_id, slug, currency from crm.tenant order by slug"
BEFORE = """
select distinct on (currency) currency, rate from raw.fx_rate
 where tenant_id = %s and base = %s and day < %s and day >= %s and rate is not null
 order by currency, day desc, fetched_at desc
"""
HELD = "select set_key from ops.quarantine where tenant_id = %s and feed = %s and status = 'held'"


@dataclass(frozen=True, slots=True)
class Firm:
    """Whose rates they are, and the currency in which it counts."""

    tenant_id: UUID
    slug: str
    currency: str


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of a pull, over all firms: tables that landed, that were known already, that are held back."""

    landed: int = 0
    known: int = 0
    held: int = 0
    days: tuple[date, ...] = ()
    """The days of the tables that came."""

    def and_(self, other: "Pulled") -> "Pulled":
        """Return both in one."""
        days = tuple(sorted({*self.days, *other.days}))
        return Pulled(self.landed + other.landed, self.known + other.known, self.held + other.held, days)


@dataclass(frozen=True, slots=True)
class Offered:
    """A table that is to be judged; none: what came for the day could not be read."""

    base: str
    day: date
    table: Table | None


def pull(first: date, last: date, *, now: datetime, source: Source = "auto") -> Pulled:
    """Pull what was published from the first to the last day, both meant, for every firm. Once more changes nothing.

    :raises httpx.HTTPError: when a bank does not answer; nothing has landed then.
    """
    today = now.astimezone(ZoneInfo("Europe/Istanbul")).date()
    with warehouse.connect() as connection:
        firms = [Firm(*row) for row in connection.execute(FIRMS).fetchall()]
        bank_of = {firm: _bank(firm, source) for firm in firms}
        told = {
            bank: [
                Offered("TRY" if bank is Bank.tcmb else "EUR", each.day, each.table)
                for each in banks.ask(bank, first, last, today=today)
            ]
            for bank in {bank for bank in bank_of.values() if bank}
        }
        found = Pulled()
        for firm, bank in bank_of.items():
            if bank:
                found = found.and_(take(connection, firm, told[bank], now=now))
    return found


def _bank(firm: Firm, source: Source) -> Bank | None:
    if source == "none":
        return None
    return banks.bank_of(firm.currency) if source == "auto" else Bank(source)


def firm_of(connection: psycopg.Connection, tenant: UUID) -> Firm:
    """Return a firm."""
    return next(Firm(*row) for row in connection.execute(FIRMS).fetchall() if row[0] == tenant)


def take(connection: psycopg.Connection, firm: Firm, offered: Sequence[Offered], *, now: datetime) -> Pulled:
    """Judge a firm's tables, the earliest first, and land those that keep to the rules, or that somebody let in."""
    if not offered:
        return Pulled()
    sets = list(_sets(connection, firm, offered, now=now))
    # Imported here: it takes seconds, and most who import this judge nothing.
    import pandas as pd

    from expectations import gate

    frame = pd.DataFrame([each | {"name": border.name_of(each)} for each in sets])
    border.keep(connection, RATES.asset, sets, gate.judge(frame, RATES, key="name"), now=now)
    held = {key for (key,) in connection.execute(HELD, (firm.tenant_id, RATES.asset))}
    good = [each for each in offered if _key(each) not in held and each.table]
    landed = asyncio.run(_land(firm, [each.table for each in good if each.table], now=now))
    came = tuple(sorted({each.day for each in offered}))
    return Pulled(landed, len(good) - landed, len(offered) - len(good), came)


def _key(each: Offered) -> str:
    return landing.report_key(each.base, each.day)


def _sets(
    connection: psycopg.Connection, firm: Firm, offered: Sequence[Offered], *, now: datetime
) -> Iterable[dict[str, Any]]:
    before: Mapping[str, float] = {}
    for each in offered:
        if not before:
            before = _before(connection, firm, each)
        yield {
            "tenant_id": firm.tenant_id, "set_key": _key(each), "label": f"{firm.slug}, {_key(each)}",
            "day": each.day, "weight": 1, "is_readable": each.table is not None,
            "days_ahead": (each.day - now.date()).days, "largest_move": _move(before, each.table),
        }  # fmt: skip
        if each.table:
            before = {**before, **{code: float(rate) for code, rate in each.table.rates.items()}}


def _before(connection: psycopg.Connection, firm: Firm, each: Offered) -> dict[str, float]:
    asked = (firm.tenant_id, each.base, each.day, each.day - LIKE)
    return {code: float(rate) for code, rate in connection.execute(BEFORE, asked)}


def _move(before: Mapping[str, float], table: Table | None) -> float | None:
    """Return by which share the rate that moved most differs from the one before; None where there is none before."""
    rates = table.rates.items() if table else ()
    moves = [abs(float(rate) / before[code] - 1) for code, rate in rates if code in before]
    return max(moves, default=None)


async def _land(firm: Firm, tables: Sequence[Table], *, now: datetime) -> int:
    try:
        return sum([await _land_one(firm, each, now=now) for each in tables])
    finally:
        await db.close()


async def _land_one(firm: Firm, table: Table, *, now: datetime) -> bool:
    key = landing.report_key(table.base, table.day)
    landed = await db.run(
        Actor.system(firm.tenant_id),
        lambda tx: landing.land(
            tx, "fx", "daily_rates", key, table.payload, window=(table.day, table.day), now=now
        ),
    )  # fmt: skip
    return landed is not None


def pull_lately() -> Pulled:
    """Pull what was published within the last days, as the schedule does."""
    now = clock.utc_now()
    today = now.astimezone(ZoneInfo("Europe/Istanbul")).date()
    return pull(today - AGAIN, today, now=now, source=settings().rates_source)
