"""Making, setting and retiring queues."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from crm import codes, db, ids
from crm.queues import operations, queries, settings, visits
from crm.queues.rules import Overflow, Ring, Settings, Way
from crm.queues.visits import Stay
from tests.conftest import Tenant
from tests.crm.queues.factory import LABELS, after, make_call


def of(**changed: Any) -> Settings:
    return Settings.model_validate({"labels": LABELS, **changed})


async def make(tenant: Tenant, now: datetime, code: str = "sales", **changed: Any) -> UUID:
    return await db.run(tenant.admin, lambda tx: operations.create(tx, code=code, settings=of(**changed), now=now))


class TestCreate:
    async def test_makes_a_queue_that_promises_what_the_firm_does(self, tenant: Tenant, now: datetime) -> None:
        queue_id = await make(tenant, now)

        async with db.transaction(tenant.system) as tx:
            found = await queries.one(tx, queue_id, at=now)
        assert (found["code"], found["promised"]) == ("sales", {"sl_s": 20, "short_s": 5, "sl_target": 0.8})

    @pytest.mark.parametrize("code", ["h", "i", "t", "failed"])
    async def test_refuses_a_code_that_an_exchange_would_run_by_itself(
        self, tenant: Tenant, now: datetime, code: str
    ) -> None:  # fmt: skip
        with pytest.raises(operations.BadQueue) as refusal:
            await make(tenant, now, code=code)

        assert list(refusal.value.fields) == ["code"]

    async def test_refuses_a_code_that_was_there_before(self, tenant: Tenant, now: datetime) -> None:
        queue_id = await make(tenant, now)
        await db.run(tenant.admin, lambda tx: operations.retire(tx, queue_id, now=now))

        with pytest.raises(operations.CodeTaken):
            await make(tenant, now)

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"team_id": str(ids.new())}, "team_id"),
            ({"rings": [Ring(teams=(ids.new(),))]}, "rings.0.teams"),
            ({"last_resort": Way(to="queue", queue="nowhere")}, "last_resort.queue"),
            ({"overflow": [Overflow(after_s=1, way=Way(to="queue", queue="sales"))]}, "overflow.0.way.queue"),
        ],
    )
    async def test_refuses_what_is_not_there_and_says_where(
        self, tenant: Tenant, now: datetime, changed: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(operations.BadQueue) as refusal:
            await make(tenant, now, **changed)

        assert list(refusal.value.fields) == [field]

    async def test_refuses_a_name_that_is_no_code(self, tenant: Tenant, now: datetime) -> None:
        with pytest.raises(codes.NotACode):
            await make(tenant, now, code="Satış Hattı")


class TestChange:
    async def test_holds_from_its_instant_and_leaves_the_past(self, tenant: Tenant, now: datetime) -> None:
        queue_id = await make(tenant, now)
        later = after(now, 60)

        await db.run(
            tenant.admin, lambda tx: operations.change(tx, queue_id, of(sl_s=40), valid_from=later, now=after(now, 1))
        )

        async with db.transaction(tenant.system) as tx:
            stood = [(await settings.of(tx, "sales", at=at)) for at in (after(now, 59), later)]
            found = await queries.one(tx, queue_id, at=now)
        assert [each.sl_s for each in stood if each] == [20, 40]
        assert found["planned_from"] == later

    async def test_changes_nothing_when_it_says_what_holds(self, tenant: Tenant, now: datetime) -> None:
        queue_id = await make(tenant, now)

        await db.run(tenant.admin, lambda tx: operations.change(tx, queue_id, of(), now=after(now, 1)))

        async with db.transaction(tenant.system) as tx:
            assert len(await queries.history(tx, queue_id)) == 1

    async def test_refuses_the_past_and_what_is_gone(self, tenant: Tenant, now: datetime) -> None:
        queue_id = await make(tenant, now)

        with pytest.raises(operations.BadQueue):
            await db.run(
                tenant.admin, lambda tx: operations.change(tx, queue_id, of(), valid_from=after(now, -1), now=now)
            )
        with pytest.raises(operations.UnknownQueue):
            await db.run(tenant.admin, lambda tx: operations.change(tx, ids.new(), of(), now=now))
        await db.run(tenant.admin, lambda tx: operations.retire(tx, queue_id, now=now))
        with pytest.raises(operations.Retired):
            await db.run(tenant.admin, lambda tx: operations.change(tx, queue_id, of(sl_s=1, short_s=0), now=now))


class TestRetire:
    async def test_refuses_while_somebody_waits(self, tenant: Tenant, now: datetime) -> None:
        queue_id = await make(tenant, now, hours="always")
        async with db.transaction(tenant.system) as tx:
            call_id = await make_call(tx, now=now)
            await visits.keep(tx, call_id, [Stay(1, "sales", now)], now=now)

        with pytest.raises(operations.InUse):
            await db.run(tenant.admin, lambda tx: operations.retire(tx, queue_id, now=now))

    async def test_refuses_while_another_queue_sends_its_callers_there(self, tenant: Tenant, now: datetime) -> None:
        queue_id = await make(tenant, now)
        other = await make(tenant, now, "support", last_resort=Way(to="queue", queue="sales"))

        with pytest.raises(operations.InUse):
            await db.run(tenant.admin, lambda tx: operations.retire(tx, queue_id, now=now))
        await db.run(tenant.admin, lambda tx: operations.change(tx, other, of(), now=after(now, 1)))
        await db.run(tenant.admin, lambda tx: operations.retire(tx, queue_id, now=after(now, 2)))

        async with db.transaction(tenant.system) as tx:
            assert [each["code"] for each in await queries.every(tx, at=after(now, 3))] == ["support"]
            assert len(await queries.every(tx, with_retired=True, at=after(now, 3))) == 2
