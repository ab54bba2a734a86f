"""Campaigns that dial by themselves, end to end: database, runner, bridge, loopback exchange, agents."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from crm.consent import Channel, Purpose, Statement, Status, dnc
from crm.consent import record as record_consent
from crm.dialling import campaigns, queries
from crm.dialling.guard import Allowed
from crm.dialling.rules import Mode
from dialer.campaigns import Campaigns
from dialer.exchange.dialplan import DETECT_S, MESSAGE_S
from dialer.exchange.people import Answer, Party
from dialer.pacing.state import State
from dialer.runner import POLICIES
from tests.conftest import Tenant
from tests.crm.dialling.floor import do
from tests.dialer.dialling_floor import MACHINE, SILENT, DiallingFloor, dialling

FOREVER = Party(rings_s=1, stays_s=10_000, patience_s=10_000)
BUSY = Party(Answer.busy)


async def asks_of(floor: DiallingFloor, kind: str) -> list[Any]:
    """Return what was asked of the exchange."""
    return await floor.rows("select * from crm.exchange_ask where kind = $1::text order by id", kind)


async def entries(floor: DiallingFloor) -> Counter[str]:
    """Return the leads of all campaigns by their state."""
    return Counter(row["state"] for row in await floor.rows("select state from crm.dial_entry"))


class Reckless:
    """A policy that always wants five calls more."""

    def decide(self, state: State) -> int:
        """Want five."""
        return 5


RECKLESS = MappingProxyType({**POLICIES, Mode.power: lambda design, agents: Reckless()})


class TestProgressive:
    async def test_dials_every_lead_once_and_connects_it_to_an_agent(self, tenant: Tenant):
        async with dialling(tenant, agents=2, speed=1) as floor:
            await floor.campaign(4)

            attempts = await floor.ended(4)

            assert [row["result"] for row in attempts] == ["live_unknown"] * 4
            assert not any(row["is_abandoned"] for row in attempts)
            assert len({row["lead_id"] for row in attempts}) == 4
            assert await entries(floor) == {"done": 4}

    async def test_has_no_more_calls_than_agents_who_could_take_them(self, tenant: Tenant):
        async with dialling(tenant, agents=2, others=FOREVER) as floor:
            await floor.campaign(8)

            await floor.until(lambda: _connected(floor, 2))
            await floor.clock.wait(asyncio.Event(), 4)

            assert len(await floor.attempts()) == 2

    async def test_tries_again_whom_it_did_not_reach(self, tenant: Tenant):
        async with dialling(tenant, agents=1, others=BUSY) as floor:
            await floor.campaign(2)

            await floor.ended(2)

            waiting = await floor.rows("select state, last_result, next_at, last_attempt_at from crm.dial_entry")
            assert {(row["state"], row["last_result"]) for row in waiting} == {("listed", "busy")}
            assert all(row["next_at"] - row["last_attempt_at"] >= timedelta(minutes=10) for row in waiting)

    async def test_tells_machines_from_people_and_keeps_agents_free_of_them(self, tenant: Tenant):
        async with dialling(tenant, agents=1, others=MACHINE) as floor:
            campaign = await floor.campaign(
                2, detects_machines=True, on_machine="leave_message", machine_message="we-called"
            )

            attempts = await floor.ended(2)

            _, verdict = await do(tenant.admin, lambda tx: queries.budget(tx, campaign, now=floor.now))
            assert {(row["result"], row["is_abandoned"]) for row in attempts} == {("voicemail", False)}
            heard = [(row["ended_at"] - row["answered_at"]).total_seconds() for row in attempts]
            assert min(heard) > DETECT_S + MESSAGE_S - 0.1
            assert not any(row["agent_user_id"] for row in await floor.rows("select agent_user_id from crm.call"))
            assert verdict.readings[0].count.answered == 0


async def _connected(floor: DiallingFloor, count: int) -> bool:
    found = await floor.rows("select from crm.call where status = 'connected'")
    return len(found) >= count


class TestHarbour:
    async def test_takes_in_whom_nobody_is_free_for_and_leaves_them_alone(self, tenant: Tenant):
        async with dialling(tenant, agents=1, others=FOREVER) as floor:
            await _prove(floor)
            await floor.campaign(3, mode=Mode.power, power_ratio=3)

            attempts = await floor.ended(2)

            locked = await floor.rows("select reason, locked_until, next_at from crm.dial_entry where state = 'listed'")
            asks = await asks_of(floor, "redirect")
            told = await floor.rows("select from crm.event_log where event_type = 'dial_attempt.abandoned'")
            assert [row["is_abandoned"] for row in attempts] == [True, True]
            assert {(row["args"]["context"], row["args"]["exten"]) for row in asks} == {("announce", "safe-harbour")}
            assert (len(asks), len(told), len(locked)) == (2, 2, 2)
            assert all(row["locked_until"] > floor.now + timedelta(hours=71) for row in locked)


async def _prove(floor: DiallingFloor) -> None:
    """Give every campaign, as it is made, a month of answers that all found an agent."""
    work = """
    create function crm.prove() returns trigger language plpgsql as $$ begin
      insert into crm.dial_budget (tenant_id, campaign_id, hour, answered)
      values (new.tenant_id, new.id, date_trunc('hour', new.created_at) - interval '3 days', 5000);
      return new; end $$;
    create trigger prove after insert on crm.dial_campaign for each row execute function crm.prove();
    """
    await floor.as_owner(work)


class TestGuard:
    async def test_holds_a_new_campaign_to_one_call_for_each_agent(self, tenant: Tenant):
        async with dialling(tenant, agents=2, others=FOREVER, policies=RECKLESS) as floor:
            await floor.campaign(8, mode=Mode.power)

            await floor.until(lambda: _connected(floor, 2))
            await floor.clock.wait(asyncio.Event(), 3)

            assert len(await floor.attempts()) == 2

    async def test_goes_to_zero_and_says_why(self, tenant: Tenant):
        async with dialling(tenant, agents=1, others=SILENT) as floor:
            campaign = await floor.campaign(0)
            await floor.as_owner(
                "insert into crm.dial_budget (tenant_id, campaign_id, hour, answered, abandoned)"
                " select tenant_id, id, date_trunc('hour', created_at), 100, 30 from crm.dial_campaign"
            )
            await floor.load(campaign, 3)

            await floor.clock.wait(asyncio.Event(), 6)

            _, verdict = await do(tenant.admin, lambda tx: queries.budget(tx, campaign, now=floor.now))
            assert (verdict.allowed, verdict.reason) == (Allowed.zero, "shift.broken")
            assert await floor.attempts() == []


class TestThrottle:
    async def test_spreads_calls_over_time(self, tenant: Tenant):
        async with dialling(tenant, agents=3, others=BUSY) as floor:
            await floor.campaign(3, calls_per_s=0.5)

            attempts = await floor.ended(3)

            gaps = [(b["dialed_at"] - a["dialed_at"]).total_seconds() for a, b in pairwise(attempts)]
            assert all(gap >= 1.9 for gap in gaps)

    async def test_keeps_to_its_lines(self, tenant: Tenant):
        async with dialling(tenant, agents=3, others=FOREVER) as floor:
            await floor.campaign(5, most_lines=1)

            await floor.until(lambda: _connected(floor, 1))
            await floor.clock.wait(asyncio.Event(), 3)

            assert len(await floor.attempts()) == 1


class TestWithdrawal:
    async def test_reaches_a_lead_that_is_already_in_the_hopper(self, tenant: Tenant):
        async with dialling(tenant, agents=1, others=Party(rings_s=1, stays_s=3)) as floor:
            campaign = await floor.campaign(4)
            await floor.until(lambda: _in_hopper(floor, 3))
            gone = await floor.rows("select lead_id, contact_id from crm.dial_entry where state = 'ready'")
            said = Statement(Channel.call, Purpose.enquiry, Status.withdrawn, "phone")
            contact, listed = gone[0]["contact_id"], gone[1]["contact_id"]
            await do(tenant.admin, lambda tx: record_consent(tx, contact, said, now=floor.now))
            await do(tenant.admin, lambda tx: dnc.add_contact(tx, listed, ["phone"], reason="asked", now=floor.now))

            await floor.until(lambda: _is_all(floor, done=2, excluded=2))

            out = await floor.rows("select contact_id, reason from crm.dial_entry where state = 'excluded'")
            called = {row["contact_id"] for row in await floor.rows("select contact_id from crm.call")}
            assert {row["contact_id"]: row["reason"] for row in out} == {contact: "opted_out", listed: "dnc"}
            assert not called & {contact, listed}
            assert (await do(tenant.admin, lambda tx: queries.read(tx, campaign))).states["done"] == 2


async def _in_hopper(floor: DiallingFloor, count: int) -> bool:
    return (await entries(floor))["ready"] >= count


async def _is_all(floor: DiallingFloor, **wanted: int) -> bool:
    return await entries(floor) == wanted


class TestPredictive:
    async def test_is_driven_by_the_simulators_own_policy(self, tenant: Tenant):
        async with dialling(tenant, agents=3, speed=1) as floor:
            await _prove(floor)
            await floor.campaign(6, mode=Mode.predictive)

            attempts = await floor.ended(6)

            assert len({row["lead_id"] for row in attempts}) == 6
            assert {row["mode"] for row in attempts} == {"predictive"}
            assert {row["result"] for row in attempts} == {"live_unknown"}


class TestOwnership:
    async def test_two_dialers_share_the_campaigns_and_never_a_call(self, tenant: Tenant):
        async with dialling(tenant, agents=2) as floor:
            second = Campaigns(tenant.id, clock=floor.clock)
            stop = asyncio.Event()
            racing = asyncio.create_task(second.run(stop))
            await floor.campaign(6)

            attempts = await floor.ended(6)

            stop.set()
            await racing
            leases = await floor.rows("select holder, term from crm.dial_lease")
            assert len(attempts) == len({row["lead_id"] for row in attempts}) == 6
            assert len(leases) == 1
            assert len(await asks_of(floor, "originate")) == 6

    async def test_another_dialer_goes_on_when_one_dies(self, tenant: Tenant):
        async with dialling(tenant, agents=2) as floor:
            second, stop = Campaigns(tenant.id, clock=floor.clock), asyncio.Event()
            await floor.campaign(6)
            await floor.ended(1)
            racing = asyncio.create_task(second.run(stop))
            floor.kill_campaigns()

            attempts = await floor.ended(6)

            stop.set()
            await racing
            [lease] = await floor.rows("select holder, term from crm.dial_lease")
            assert len(attempts) == len({row["lead_id"] for row in attempts}) == 6
            assert (lease["holder"], lease["term"]) == (second.holder, 2)


class TestDraining:
    async def test_ends_by_itself_after_the_last_call(self, tenant: Tenant):
        async with dialling(tenant, agents=1) as floor:
            campaign = await floor.campaign(6)
            await floor.until(lambda: _connected(floor, 1))

            await do(tenant.admin, lambda tx: campaigns.drain(tx, campaign, reason="evening", now=floor.now))

            await floor.until(lambda: _has_status(floor, "stopped"))
            attempts = await floor.attempts()
            assert all(row["resolved_at"] for row in attempts)
            assert len(attempts) < 6


async def _has_status(floor: DiallingFloor, status: str) -> bool:
    return bool(await floor.rows("select from crm.dial_campaign where status = $1::text", status))
