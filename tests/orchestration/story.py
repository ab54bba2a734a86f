"""A firm with something of everything: leads, sales, ads, queues, shifts, dialling, callbacks, requests of its API."""

from datetime import timedelta

from crm import clock
from crm.calls.story import Outcome
from tests.conftest import Tenant
from tests.dbt_project import golden, golden_leads, golden_money, telephony, test_agents, test_dialling
from tests.dbt_project.telephony import DAY, past
from tests.kpis import test_quality_and_platform

HOUR = timedelta(hours=1)


def calls() -> list[telephony.PastCall]:
    """Two days of another system's calls in two queues: answered early and late, given up by mistake and for good."""
    waits = [4.0, 12.0, 20.0, 35.0, 90.0]
    return [
        past(f"{queue}-{day}-{n}-{kind}", DAY + timedelta(days=day, minutes=7 * n), kind, wait_s,
             talk_s=60.0 + 10 * n if kind is Outcome.answered else None, queue=queue)
        for queue in ("golden", "silver") for day in (0, 3) for n, wait_s in enumerate(waits)
        for kind in (Outcome.answered, Outcome.abandoned)
    ]  # fmt: skip


async def play(tenant: Tenant) -> None:
    """Let it happen."""
    await golden.play(tenant)
    await golden_leads.play(tenant)
    await golden_money.play(tenant)
    golden_money.let_pass()
    await telephony.import_calls(tenant, calls())
    await test_dialling.dial(tenant)
    await test_dialling.promise(tenant)
    await test_dialling.hear_more(tenant)
    await test_agents.play(tenant)
    await test_quality_and_platform.work(tenant, clock.utc_now().replace(second=0, microsecond=0) - HOUR)
