"""One turn of a campaign's runner at a time: what it sees, what it decides, what it leaves to others."""

from datetime import timedelta

import pytest

from crm import ids
from crm.calendars.rules import Hours
from crm.dialling import campaigns, leases
from crm.dialling.leases import LeaseLost
from crm.dialling.rules import Mode
from dialer.runner import Clock, Over, Runner
from tests.conftest import NOW, Tenant
from tests.crm.agents.floor import hire, signed_on
from tests.crm.dialling.floor import do, fill, rows, running, take

MEMBER = """
insert into crm.queue_member (tenant_id, queue, endpoint, is_member) values ($1::uuid, $2::text, $3::text, true)
"""


async def ready(tenant: Tenant, count: int, *queues: str) -> None:
    """Have so many agents ready, in some queues."""
    for n, agent in enumerate([tenant.sales_agent, *await hire(tenant, count - 1, NOW)], 1):
        endpoint = f"PJSIP/agent-{n}"
        await signed_on(tenant, NOW, actor=agent, endpoint=endpoint)
        for queue in queues or ("sales",):
            await do(tenant.system, lambda tx, q=queue, e=endpoint: tx.execute(MEMBER, tenant.id, q, e))


def runner(tenant: Tenant, campaign, holder=None) -> Runner:
    """Return a runner whose clock stands still."""
    return Runner(tenant.id, campaign, holder or ids.new(), clock=Clock(lambda: NOW))


async def turn(one: Runner, seconds: float = 0) -> float:
    """Let a runner take its turn so many seconds from the beginning."""
    now = NOW + timedelta(seconds=seconds)
    one.clock = Clock(lambda: now)
    return await one._turn(now, is_tick=True)


async def dialled(tenant: Tenant) -> int:
    return len(await rows(tenant, "select from crm.dial_attempt"))


class TestTurn:
    async def test_fills_the_hopper_first_and_then_calls_for_each_agent(self, tenant: Tenant):
        campaign, _ = await running(tenant, 6)
        await ready(tenant, 2)
        one = runner(tenant, campaign)

        counts = []
        for second in (0, 1, 1.5):
            await turn(one, second)
            counts.append(await dialled(tenant))

        assert counts == [2, 2, 2]

    async def test_waits_while_the_exchange_takes_no_calls(self, tenant: Tenant):
        campaign, _ = await running(tenant, 6)
        await ready(tenant, 1)
        await fill(tenant, campaign)
        one = runner(tenant, campaign)
        await turn(one)
        endpoint = "PJSIP/agent-9"
        [late] = await hire(tenant, 1, NOW)
        await signed_on(tenant, NOW, actor=late, endpoint=endpoint)
        await do(tenant.system, lambda tx: tx.execute(MEMBER, tenant.id, "sales", endpoint))

        await turn(one, 5)
        stuck = await dialled(tenant)
        await do(tenant.system, lambda tx: tx.execute("update crm.call set status = 'ringing'"))
        await turn(one, 6)

        assert (stuck, await dialled(tenant)) == (1, 2)

    async def test_dials_outside_no_window(self, tenant: Tenant):
        campaign, _ = await running(tenant, 3, windows=(Hours(0, 0, 60),))
        await ready(tenant, 2)
        one = runner(tenant, campaign)

        for second in range(3):
            await turn(one, second)

        assert await dialled(tenant) == 0

    async def test_counts_an_agent_of_two_campaigns_in_the_older_one_only(self, tenant: Tenant):
        older, _ = await running(tenant, 3)
        younger, _ = await running(tenant, 3, code="summer")
        await ready(tenant, 1)
        ones = [runner(tenant, each) for each in (younger, older)]
        for each in (older, younger):
            await fill(tenant, each)

        for one in ones:
            await turn(one)

        made = await rows(tenant, "select campaign_id from crm.dial_attempt")
        assert [row["campaign_id"] for row in made] == [older]

    async def test_of_power_dials_more_than_agents_only_once_it_has_earned_it(self, tenant: Tenant):
        campaign, _ = await running(tenant, 9, mode=Mode.power, power_ratio=3)
        await ready(tenant, 2)
        await fill(tenant, campaign)
        one = runner(tenant, campaign)

        await turn(one)
        young = await dialled(tenant)
        await do(
            tenant.system,
            lambda tx: tx.execute(
                "insert into crm.dial_budget (tenant_id, campaign_id, hour, answered)"
                " values ($1::uuid, $2::uuid, $3::timestamptz, 500)", tenant.id, campaign, NOW - timedelta(days=2),
            ),
        )  # fmt: skip
        await turn(one, 1)

        assert (young, await dialled(tenant)) == (2, 6)

    async def test_ends_when_the_campaign_is_paused_and_nothing_is_under_way(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        await do(tenant.admin, lambda tx: campaigns.pause(tx, campaign, reason="lunch", now=NOW))

        with pytest.raises(Over):
            await turn(runner(tenant, campaign))

    async def test_ends_when_another_dialer_holds_the_lease(self, tenant: Tenant):
        campaign, _ = await running(tenant, 1)
        await take(tenant, campaign)

        with pytest.raises(LeaseLost):
            await turn(runner(tenant, campaign))

    async def test_goes_on_in_the_middle_of_a_shift_with_what_it_came_to(self, tenant: Tenant):
        campaign, _ = await running(tenant, 4)
        await ready(tenant, 2)
        await fill(tenant, campaign)
        first = runner(tenant, campaign)
        await turn(first)
        await do(tenant.system, lambda tx: leases.leave(tx, campaign, first.holder))
        second = runner(tenant, campaign)

        await turn(second, 2)

        assert second._shift is not None
        assert (second._shift.live.launched, second._shift.live.n_ringing) == (2, 2)
        assert await dialled(tenant) == 2
