"""What the platform measures of itself."""

from datetime import datetime, timedelta

from crm import db, health, ids, tenant_settings
from crm.events import Event
from kpis import project
from tests.conftest import Tenant


def test_the_pipeline_names_the_same_buckets():
    declared = f"  lag_bounds_ms: {list(health.LAG_BOUNDS_MS)}"

    assert declared in (project.FOLDER / "dbt_project.yml").read_text().splitlines()


class TestLags:
    async def test_counts_what_was_heard_by_how_long_it_had_waited(self, tenant: Tenant, now: datetime):
        chore = health.Lags(lambda: now)
        for waited_ms in (10, 50, 51, 400_000):
            chore.hear(heard(tenant, now - timedelta(milliseconds=waited_ms)))
        await chore.work(tenant.id)
        chore.hear(heard(tenant, now))
        await chore.work(tenant.id)

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select minute_at, counts from crm.event_lag_1m")

        assert [tuple(row) for row in rows] == [(now, [3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])]


def heard(tenant: Tenant, at: datetime) -> Event:
    return Event(tenant.id, 1, 1, "lead", ids.new(), "lead.created", {}, at, at, None, None)


class TestNoteProbe:
    async def test_the_first_of_a_minute_counts_and_knows_what_was_announced(self, tenant: Tenant, now: datetime):
        soon = now + timedelta(hours=1)
        announced = [{"begins": soon.isoformat(), "ends": (soon + timedelta(minutes=5)).isoformat()}]
        await db.run(
            tenant.admin, lambda tx: tenant_settings.change(tx, health.MAINTENANCE.key, announced, now=now)
        )  # fmt: skip
        for at, is_ok in (
            (now, True),
            (now + timedelta(seconds=30), False),
            (soon, False),
            (soon + timedelta(minutes=5), True),
        ):
            await db.run(
                tenant.system,
                lambda tx, at=at, is_ok=is_ok: health.note_probe(tx, is_ok=is_ok, duration_ms=2.5, now=at),
            )

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select minute_at, is_ok, is_maintenance from crm.probe order by minute_at")

        assert [tuple(row) for row in rows] == [
            (now, True, False), (soon, False, True), (soon + timedelta(minutes=5), True, False),
        ]  # fmt: skip

    async def test_begins_with_the_first_that_was_answered_well(self, tenant: Tenant, now: datetime):
        for minute, is_ok in enumerate((False, True, False)):
            at = now + timedelta(minutes=minute)
            await db.run(
                tenant.system,
                lambda tx, at=at, is_ok=is_ok: health.note_probe(tx, is_ok=is_ok, duration_ms=2.5, now=at),
            )

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select minute_at, is_ok from crm.probe order by minute_at")

        assert [tuple(row) for row in rows] == [(now + timedelta(minutes=1), True), (now + timedelta(minutes=2), False)]
