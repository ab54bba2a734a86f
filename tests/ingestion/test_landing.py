"""Landing: every version once, the latest is what the platform said last."""

from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from crm import db
from ingestion import landing
from tests.conftest import NOW, Tenant

DAY = date(2026, 3, 2)
KEY = landing.report_key("act_1", DAY)


async def land(tenant: Tenant, payload: dict[str, Any], *, hours: int = 0) -> Any:
    return await db.run(
        tenant.system,
        lambda tx: landing.land(
            tx, "meta", "insights", KEY, payload, window=(DAY, DAY), now=NOW + timedelta(hours=hours)
        ),
    )


class TestLand:
    async def test_keeps_each_version_once_and_dates_a_returning_one_anew(self, tenant: Tenant) -> None:
        first, corrected = {"data": [{"spend": "1.00"}]}, {"data": [{"spend": "2.00"}]}

        assert await land(tenant, first) is not None
        assert await land(tenant, {"data": [{"spend": "1.00"}]}, hours=1) is None
        assert await land(tenant, corrected, hours=2) is not None
        assert await land(tenant, first, hours=3) is None

        async with db.transaction(tenant.system) as tx:
            found = await tx.fetch(
                "select payload -> 'data' -> 0 ->> 'spend' as spend from raw.api_payload order by fetched_at"
            )
        assert [row["spend"] for row in found] == ["2.00", "1.00"]

    async def test_is_the_tenants_own(self, tenant: Tenant, other_tenant: Tenant) -> None:
        await land(tenant, {"data": []})

        async with db.transaction(other_tenant.system) as tx:
            assert await tx.fetchval("select count(*) from raw.api_payload") == 0

    async def test_cannot_be_rewritten_by_the_app(self, tenant: Tenant) -> None:
        await land(tenant, {"data": []})

        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.transaction(tenant.system) as tx:
                await tx.execute("update raw.api_payload set payload = '{}'")
