"""Queue figures: the golden numbers, and the marts against the boards' own counting."""

from tests.conftest import Tenant
from tests.dbt_project import telephony
from tests.dbt_project.measuring import measure
from tests.pipeline import Build

QUEUES = ("--select", "+fct_queue_visit", "dim_date")


class TestGoldenNumbers:
    async def test_are_those_of_the_catalogue(self, build: Build, tenant: Tenant) -> None:
        await telephony.import_calls(tenant, telephony.golden_day())

        await build(*QUEUES)

        [row] = await measure(tenant, *telephony.GOLDEN)
        assert {name: round(100 * row[name], 2) for name in telephony.GOLDEN} == telephony.GOLDEN
