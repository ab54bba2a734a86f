"""How a campaign's calls went, summed up from its attempts."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from crm import ids
from crm.dialling import history
from crm.dialling.campaigns import CampaignNotFound
from crm.dialling.history import History
from tests.conftest import NOW, Tenant
from tests.crm.dialling.floor import do, make_campaign, make_queue
from tests.crm.dialling.past import Past, dialled_before


async def campaign_with(tenant: Tenant, *pasts: Past, code: str = "spring") -> UUID:
    if code == "spring":
        await make_queue(tenant)
    campaign = await make_campaign(tenant, code=code)
    await dialled_before(tenant, campaign, pasts)
    return campaign


async def history_of(tenant: Tenant, campaign: UUID, now: datetime = NOW) -> History:
    return await do(tenant.system, lambda tx: history.of_campaign(tx, campaign, now=now))


class TestOfCampaign:
    async def test_sums_up_what_came_of_calls(self, tenant: Tenant):
        campaign = await campaign_with(
            tenant,
            Past("live_right_party", after_s=8, talk_s=90, wrap_s=15, hour=10, answer_p=0.4),
            Past("live_unknown", after_s=12, stayed_s=2, is_abandoned=True, hour=10),
            Past("voicemail", after_s=16, hour=11),
            Past("busy", after_s=3, hour=11),
            Past("failed", after_s=1, hour=11),
            Past("no_answer", after_s=25, hour=11),
        )

        told = await history_of(tenant, campaign)

        assert (told.attempts, told.live, told.machines, told.failed, told.no_answers) == (6, 2, 1, 2, 1)
        assert (told.tries_by_hour, told.live_by_hour) == ({10: 2, 11: 4}, {10: 2, 11: 0})
        assert sorted(told.live_ring) == pytest.approx([8, 12])
        assert (told.talk, told.wrap, told.patience) == ([90], [15], [2])
        assert (told.machine_ring, sorted(told.failed_after), told.no_answer_after) == ([16], [1, 3], [25])
        assert told.scores == [0.4]

    async def test_leaves_out_what_was_not_dialled_or_is_open(self, tenant: Tenant):
        campaign = await campaign_with(tenant, Past("blocked_by_policy"), Past(None), Past("no_answer", after_s=25))

        assert (await history_of(tenant, campaign)).attempts == 1

    async def test_counts_answers_in_blocks_of_ten_minutes(self, tenant: Tenant):
        begun = timedelta(hours=3)
        campaign = await campaign_with(
            tenant,
            Past("live_unknown", after_s=9, ago=begun),
            Past("no_answer", after_s=25, ago=begun),
            Past("no_answer", after_s=25, ago=begun + timedelta(minutes=10)),
        )

        assert sorted((await history_of(tenant, campaign)).blocks.values()) == [(1, 0), (2, 1)]

    async def test_looks_back_from_an_instant_and_at_one_campaign(self, tenant: Tenant):
        campaign = await campaign_with(tenant, Past("no_answer", after_s=25, ago=timedelta(hours=2)))
        await campaign_with(tenant, Past("failed", after_s=2), code="autumn")

        assert (await history_of(tenant, campaign)).attempts == 1
        assert (await history_of(tenant, campaign, NOW - timedelta(hours=3))).attempts == 0

    async def test_shows_nobody_elses_calls(self, tenant: Tenant, other_tenant: Tenant):
        campaign = await campaign_with(tenant, Past("no_answer", after_s=25))

        assert (await history_of(other_tenant, campaign)).attempts == 0


class TestCampaignNamed:
    async def test_finds_it_by_code_or_id(self, tenant: Tenant):
        campaign = await campaign_with(tenant)

        for name in ("spring", str(campaign)):
            assert await do(tenant.system, lambda tx, name=name: history.campaign_named(tx, name)) == campaign

    async def test_says_when_there_is_none(self, tenant: Tenant, other_tenant: Tenant):
        campaign = await campaign_with(tenant)

        with pytest.raises(CampaignNotFound):
            await do(tenant.system, lambda tx: history.campaign_named(tx, str(ids.new())))
        with pytest.raises(CampaignNotFound):
            await do(other_tenant.system, lambda tx: history.campaign_named(tx, str(campaign)))
