"""The event log as the pipeline reads it: what holds it back, a wrong clock and lateness are told of."""

import asyncio
from datetime import datetime, timedelta

import dagster as dg
import pytest

from crm import clock, db, events, ids
from crm.actor import Actor
from orchestration import warehouse
from orchestration.defs.platform import events as log
from tests.conftest import Tenant

COUNTED = """
create table marts.dq_late_event as
select *
  from (values (%s::uuid, 'lead', %s::date, 3, date '2026-01-05'), (null, 'call', '2026-01-01', 9, '2025-01-01'),
               (null, 'agent', '2026-01-01', 0, null))
       as v(tenant_id, source, recorded_on, late_events, reaches_back_to)
"""


async def happen(actor: Actor, kind: str, *, at: datetime) -> None:
    """Let something happen that is told of now."""
    async with db.transaction(actor) as tx:
        await events.record(tx, kind, ids.new(), f"{kind}.created", at=at)


def look() -> dict[str, tuple[bool, str, str]]:
    """Return how the checks stand: whether each passed, how grave it is, and what it says."""
    result = dg.materialize([log.event_horizon], instance=dg.DagsterInstance.ephemeral())
    return {
        one.check_name: (one.passed, one.severity.value, one.description or "")
        for one in result.get_asset_check_evaluations()
    }


class TestEventHorizon:
    async def test_tells_of_a_transaction_that_stays_open_and_of_clocks(
        self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def seen(later: timedelta = timedelta(0)) -> dict[str, tuple[bool, str, str]]:
            at = datetime.now(tz=began.tzinfo) + later
            monkeypatch.setattr(clock, "utc_now", lambda: at)
            return await asyncio.to_thread(look)

        began = clock.utc_now()
        with warehouse.connect() as connection:
            connection.execute("insert into ops.horizon (tx_id, pinned_at) values (crm.event_horizon(), now())")
        async with db.transaction(tenant.system) as idle:
            await events.record(idle, "lead", ids.new(), "lead.created", at=began)  # holds back whoever reads
            await happen(tenant.system, "call", at=began)
            good, late, stuck = await seen(), await seen(timedelta(minutes=10)), await seen(timedelta(hours=2))
            await happen(tenant.system, "queue_visit", at=began + timedelta(hours=3))
            skewed = await seen()
        with warehouse.connect() as connection:
            connection.execute(COUNTED, (tenant.id, began.date()))
        tardy = await seen()

        assert good["horizon_age"] == (True, "WARN", "readers are up to date")
        assert good["clocks_agree"] == (True, "WARN", "all events happened before they were told")
        assert late["horizon_age"][:2] == (False, "WARN")
        assert stuck["horizon_age"][:2] == (False, "ERROR")
        assert "nothing that happened since is in any number" in stuck["horizon_age"][2]
        assert skewed["clocks_agree"] == (
            False, "WARN", "events of queue_visit are dated after they were told: a clock is wrong",
        )  # fmt: skip
        assert good["told_in_time"] == (True, "WARN", "nothing was told weeks after it happened")
        assert tardy["told_in_time"] == (
            False, "WARN", "events came late lately and changed what was long past: 3 of lead (back to 2026-01-05)",
        )  # fmt: skip
