"""Figures of queues: the formulas, and what is counted."""

import csv
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm import db
from crm.db import Tx
from crm.queues import statistics
from crm.queues.figures import Counts
from tests.conftest import Tenant
from tests.crm.queues.factory import make_call

GOLDEN = Counts(
    offered=1060, answered=1000, in_sl=860, abandoned=60, abandoned_in_sl=20, short_abandons=10,
    answered_wait_s=12_000, abandoned_wait_s=4_000, talk_s=180_000,
)  # fmt: skip
"""1 000 answered, 860 within 20 s; 60 gave up, 20 of them within 20 s, 10 within 5 s."""


class TestCounts:
    @pytest.mark.parametrize(
        ("name", "percent"),
        [
            ("service_level", 81.90),
            ("service_level_strict", 81.13),
            ("service_level_credit", 83.02),
            ("service_level_answered", 86.00),
            ("service_level_ignore_sl_abandons", 82.69),
            ("abandonment_rate", 4.76),
        ],
    )
    def test_agrees_with_figures_worked_out_by_hand(self, name: str, percent: float) -> None:
        assert round(100 * getattr(GOLDEN, name), 2) == percent

    def test_means_are_sums_over_counts(self) -> None:
        assert (GOLDEN.asa_s, GOLDEN.avg_abandon_wait_s, GOLDEN.mean_service_s) == (12.0, 80.0, 180.0)

    def test_nothing_to_divide_by_is_no_figure(self) -> None:
        empty = Counts()

        assert (empty.service_level, empty.abandonment_rate, empty.asa_s, empty.mean_service_s) == (None,) * 4

    def test_sent_on_counts_as_missed_and_a_callback_does_not(self) -> None:
        sent = Counts(offered=10, answered=4, in_sl=4, overflow=2, timeout=2, callback=2)

        assert sent.service_level == 0.5


async def put(tx: Tx, at: datetime, outcome: str, wait_s: float, **changed: Any) -> None:
    """Store a stay that has ended."""
    call_id = await make_call(tx, now=at)
    row = {
        "queue": "sales", "in_hours": True, "is_test": False, "is_historical": False, "sl_s": 20, "short_s": 5,
        "timezone": "Europe/Istanbul", "talk_s": None, **changed,
    }  # fmt: skip
    await tx.execute(
        "insert into crm.queue_visit (tenant_id, call_id, visit_no, queue, enqueued_at, left_at, outcome, wait_s,"
        " in_hours, is_test, is_historical, sl_s, short_s, timezone, talk_s) values ($1::uuid, $2::uuid, 1, $3::text,"
        " $4::timestamptz, $5::timestamptz, $6::text, $7::float8, $8::boolean, $9::boolean, $10::boolean, $11::int,"
        " $12::int, $13::text, $14::float8)",
        tx.actor.tenant_id, call_id, row["queue"], at, at + timedelta(seconds=wait_s), outcome, wait_s,
        row["in_hours"], row["is_test"], row["is_historical"], row["sl_s"], row["short_s"], row["timezone"],
        row["talk_s"],
    )  # fmt: skip


class TestOfDays:
    async def test_counts_each_stay_by_the_thresholds_of_its_own_instant(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await put(tx, now, "answered", 25, sl_s=20, talk_s=100)
            await put(tx, now, "answered", 25, sl_s=30, talk_s=0)
            await put(tx, now, "abandoned", 4, short_s=5)
            await put(tx, now, "abandoned", 4, short_s=3)
            await put(tx, now, "abandoned", 0, short_s=0)
            await put(tx, now, "overflow", 40)
            await put(tx, now, "timeout", 60)
            await put(tx, now, "callback", 30)
            await put(tx, now, "system", 1)
            await put(tx, now, "answered", 1, in_hours=False)
            await put(tx, now, "answered", 1, is_test=True)

            [found] = await statistics.of_days(tx, now.date(), now.date())

        counts = found.counts
        assert (counts.offered, counts.offered_ooh, counts.answered, counts.in_sl) == (8, 1, 2, 1)
        assert (counts.abandoned, counts.short_abandons, counts.abandoned_in_sl) == (3, 1, 3)
        assert (counts.overflow, counts.timeout, counts.callback) == (1, 1, 1)
        assert (counts.mean_service_s, counts.asa_s, found.wait_p90) == (50, 25, 25)

    async def test_counts_days_in_the_zone_of_the_queue(self, tenant: Tenant) -> None:
        istanbul, late = ZoneInfo("Europe/Istanbul"), datetime(2026, 3, 3, 23, 50, tzinfo=ZoneInfo("Europe/Istanbul"))
        async with db.transaction(tenant.system) as tx:
            await put(tx, late, "answered", 1)
            await put(tx, late + timedelta(minutes=20), "answered", 1)
            await put(tx, late, "answered", 1, timezone="Asia/Tokyo", queue="tokyo")

            found = await statistics.of_days(tx, date(2026, 3, 3), date(2026, 3, 4))

        assert late.astimezone(istanbul).date() == date(2026, 3, 3)
        assert [(each.day.day, each.queue) for each in found if each.day] == [(3, "sales"), (4, "sales"), (4, "tokyo")]

    async def test_adds_up_over_days_and_queues(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await put(tx, now, "answered", 10)
            await put(tx, now, "answered", 30, queue="support")
            await put(tx, now - timedelta(days=1), "abandoned", 30)
            since = now.date() - timedelta(days=1)

            [whole] = await statistics.of_days(tx, since, now.date(), by_day=False, by_queue=False)
            queues = await statistics.of_days(tx, since, now.date(), by_day=False)
            [support] = await statistics.of_days(tx, since, now.date(), queues=["support"])

        assert (whole.counts.offered, whole.counts.service_level) == (3, 1 / 3)
        assert [(each.queue, each.counts.offered) for each in queues] == [("sales", 2), ("support", 1)]
        assert support.counts.answered == 1


class TestOfLate:
    async def test_is_the_same_definition_over_half_an_hour(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await put(tx, now - timedelta(minutes=31), "answered", 1)
            await put(tx, now - timedelta(minutes=30), "answered", 1)
            await put(tx, now - timedelta(minutes=1), "abandoned", 30)
            await put(tx, now, "answered", 1)
            await put(tx, now - timedelta(minutes=1), "answered", 1, is_historical=True)

            found = await statistics.of_late(tx, now=now)
            quiet = await statistics.of_late(tx, now=now + timedelta(hours=2))

        assert (found["sales"].judged, found["sales"].service_level) == (2, 0.5)
        assert quiet == {}


def real_stays(folder: Path) -> list[dict[str, str]]:
    with open(folder / "calls_bank_1999-02-01_14.tsv", encoding="latin-1", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["outcome"] != "PHANTOM"]
    return [row for row in rows if row["outcome"] == "AGENT" or row["q_start"] != "0:00:00"]


class TestRealCalls:
    """A fortnight of a bank's telephone centre, counted by the database and by hand."""

    async def test_agrees_with_the_file(self, tenant: Tenant, sample_data: Path) -> None:
        zone, stays = ZoneInfo("Asia/Jerusalem"), real_stays(sample_data)
        async with db.transaction(tenant.system) as tx:
            call_id = await make_call(tx, now=datetime(1999, 2, 1, tzinfo=zone))
            columns = [(n, row["type"].strip().lower(), began(row, zone), *told(row)) for n, row in enumerate(stays, 1)]
            await tx.executemany(
                "insert into crm.queue_visit (tenant_id, call_id, visit_no, queue, enqueued_at, outcome, wait_s,"
                f" talk_s, is_historical, timezone) values ('{tenant.id}', '{call_id}', $1::int, $2::text,"
                " $3::timestamptz, $4::text, $5::float8, $6::float8, true, 'Asia/Jerusalem')",
                columns,
            )

            [whole] = await statistics.of_days(
                tx, date(1999, 2, 1), date(1999, 2, 14), by_day=False, by_queue=False
            )  # fmt: skip

        counts = whole.counts
        assert (counts.offered, counts.answered, counts.abandoned, counts.short_abandons) == (
            16_290,
            14_405,
            1_885,
            161,
        )
        assert counts.service_level == pytest.approx(0.5681, abs=5e-5)
        assert counts.abandonment_rate == pytest.approx(0.1069, abs=5e-5)
        assert counts.asa_s == pytest.approx(34.41, abs=5e-3)
        assert counts.mean_service_s == pytest.approx(166.86, abs=5e-3)


def began(row: dict[str, str], zone: ZoneInfo) -> datetime:
    day = datetime.strptime(row["date"], "%y%m%d").replace(tzinfo=zone)
    return day + timedelta(hours=12)


def told(row: dict[str, str]) -> tuple[str, float, float]:
    return "answered" if row["outcome"] == "AGENT" else "abandoned", float(row["q_time"]), float(row["ser_time"])
