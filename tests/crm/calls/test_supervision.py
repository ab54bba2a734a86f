"""Listening, whispering and barging in: whose calls, what the agent learns, what is kept of it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from crm import db, ids, tenant_settings
from crm.actor import Actor, Forbidden
from crm.agents.rules import State
from crm.agents.sessions import NoEndpoint
from crm.agents.states import AgentBusy
from crm.calls import supervision, wishes
from crm.calls.rows import CallNotFound
from crm.calls.supervision import Mode, NothingToHear
from crm.codes import NotACode
from crm.users import teams
from tests.conftest import Tenant
from tests.crm.agents import floor
from tests.crm.calls import factory

SECOND = timedelta(seconds=1)


async def talking(tenant: Tenant, now: datetime, agent: Actor | None = None, **changed: Any) -> UUID:
    """Store a conversation that is going on."""
    who = agent or tenant.sales_agent
    call_id = await factory.make_call(tenant, now, agent=who, **{"status": "connected", "ended_at": None} | changed)
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "insert into crm.call_leg (tenant_id, call_id, leg_id, party, agent_user_id, stage, started_at)"
            " values ($1::uuid, $2::uuid, $3::text, 'agent', $4::uuid, 'answered', $5::timestamptz)",
            tenant.id, call_id, str(call_id), who.user_id, now,
        )  # fmt: skip
    return call_id


@pytest.fixture
async def manager(tenant: Tenant, now: datetime) -> Actor:
    """The manager of the firm's team, who has a telephone."""
    return await floor.telephone(tenant, now, actor=tenant.sales_manager, endpoint="PJSIP/boss")


async def begin(who: Actor, call_id: UUID, now: datetime, mode: Mode = Mode.listen, reason: str = "coaching") -> UUID:
    return await db.run(who, lambda tx: supervision.begin(tx, call_id, mode, reason=reason, now=now))


async def asked(tenant: Tenant) -> list[tuple[str, dict[str, Any]]]:
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select kind, args from crm.exchange_ask where kind <> 'queue_pause' order by id")
    return [(row["kind"], row["args"]) for row in rows]


async def shown(tenant: Tenant, call_id: UUID) -> list[dict[str, Any]]:
    """Return what the agent is told of a call."""
    return [told for name, told in await factory.told(tenant, call_id) if name == "call.supervised"]


async def kept(tenant: Tenant) -> list[Any]:
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch("select * from crm.call_supervision order by id")


class TestBegin:
    async def test_rings_the_supervisors_own_telephone(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        call_id = await talking(tenant, now)

        await begin(manager, call_id, now)

        assert await asked(tenant) == [("spy", {"endpoint": "PJSIP/boss", "leg": str(call_id), "mode": "listen"})]
        [row] = await kept(tenant)
        assert (row["mode"], row["reason"], row["notice"], row["ended_at"]) == ("listen", "coaching", "told", None)

    async def test_is_audited_with_its_reason(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        call_id = await talking(tenant, now)

        await begin(manager, call_id, now, Mode.barge, "complaint")

        async with db.transaction(tenant.system) as tx:
            [row] = await tx.fetch("select * from crm.audit_log where target_id = $1::uuid", call_id)
        assert (row["action"], row["actor_user_id"]) == ("call.barge", manager.user_id)
        assert row["metadata_json"]["reason"] == "complaint"
        with pytest.raises(NotACode):
            await begin(manager, call_id, now, reason="he shouts")

    async def test_is_for_calls_of_the_own_team(
        self, tenant: Tenant, other_tenant: Tenant, manager: Actor, now: datetime
    ) -> None:
        zone = "Europe/Istanbul"
        elsewhere = await db.run(tenant.admin, lambda tx: teams.create(tx, name="B", timezone=zone, now=now))
        [stranger] = await floor.hire(tenant, 1, now, team_id=elsewhere)
        theirs, rivals = await talking(tenant, now, stranger), await talking(other_tenant, now)
        await floor.telephone(tenant, now, actor=tenant.admin, endpoint="PJSIP/admin")

        for call_id in (theirs, rivals, ids.new()):
            with pytest.raises(CallNotFound):
                await begin(manager, call_id, now)
        with pytest.raises(Forbidden):
            await begin(tenant.sales_agent, theirs, now)
        await begin(tenant.admin, theirs, now)

        assert len(await kept(tenant)) == 1

    @pytest.mark.parametrize("status", ["queued", "ringing", "agent_ringing", "ended", "wrap_up", "denied"])
    async def test_needs_a_conversation(self, tenant: Tenant, manager: Actor, now: datetime, status: str) -> None:
        call_id = await talking(tenant, now, status=status)

        with pytest.raises(NothingToHear):
            await begin(manager, call_id, now)

    async def test_is_not_for_ones_own_call_nor_during_one(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        own, other = await talking(tenant, now, manager), await talking(tenant, now)
        await floor.signed_on(tenant, now, actor=manager, endpoint="PJSIP/boss")
        await floor.move(tenant, manager, State.on_call, now + SECOND, call_id=own)

        with pytest.raises(NothingToHear):
            await begin(manager, own, now)
        with pytest.raises(AgentBusy):
            await begin(manager, other, now)

    async def test_needs_a_telephone(self, tenant: Tenant, now: datetime) -> None:
        call_id = await talking(tenant, now)

        with pytest.raises(NoEndpoint):
            await begin(tenant.sales_manager, call_id, now)

    async def test_leaves_what_one_took_part_in_before(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        call_id = await talking(tenant, now)
        await begin(manager, call_id, now)

        await begin(manager, call_id, now + SECOND, Mode.whisper)

        before, after = await kept(tenant)
        assert [(each["mode"], each["ended_at"]) for each in (before, after)] == [
            ("listen", now + SECOND), ("whisper", None),
        ]  # fmt: skip
        assert [kind for kind, _ in await asked(tenant)] == ["spy", "hang_up", "spy"]
        assert (await asked(tenant))[1][1] == {"leg": str(before["ask_id"])}


class TestNotice:
    @pytest.mark.parametrize(
        ("notice", "mode", "at_once", "after"),
        [
            ("told", Mode.listen, 1, 2),
            ("told_after", Mode.listen, 0, 1),
            ("not_told", Mode.listen, 0, 0),
            ("not_told", Mode.whisper, 1, 2),
            ("told_after", Mode.barge, 1, 2),
        ],
    )
    async def test_is_given_as_the_firm_has_set(
        self, tenant: Tenant, manager: Actor, now: datetime, notice: str, mode: Mode, at_once: int, after: int
    ) -> None:
        call_id = await talking(tenant, now)
        await db.run(
            tenant.admin, lambda tx: tenant_settings.change(tx, "call.supervision_notice", notice, now=now)
        )  # fmt: skip

        await begin(manager, call_id, now, mode)
        during = await shown(tenant, call_id)
        await db.run(manager, lambda tx: supervision.stop(tx, call_id, now=now + SECOND))

        assert (len(during), len(await shown(tenant, call_id))) == (at_once, after)
        assert all(each["agent_user_id"] == str(tenant.sales_agent.user_id) for each in await shown(tenant, call_id))

    async def test_leaves_no_trace_in_what_agents_see_when_it_is_not_given(
        self, tenant: Tenant, manager: Actor, now: datetime
    ) -> None:
        call_id = await talking(tenant, now)
        await db.run(
            tenant.admin, lambda tx: tenant_settings.change(tx, "call.supervision_notice", "not_told", now=now)
        )

        await begin(manager, call_id, now)

        async with db.transaction(tenant.system) as tx:
            of_call = await tx.fetchval("select count(*) from crm.exchange_ask where call_id = $1::uuid", call_id)
        assert of_call == 0
        assert await factory.told(tenant, call_id) == []
        assert len(await floor.told(tenant, "call_supervision.began")) == 1


class TestSteering:
    async def test_is_for_supervisors_of_the_own_team(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        call_id = await talking(tenant, now)
        of_another_team = Actor(
            tenant.id, ids.new(), ids.new(), frozenset({"sales_manager"}), manager.permissions
        )  # fmt: skip
        [beside] = await floor.hire(tenant, 1, now)

        for stranger in (of_another_team, beside):
            with pytest.raises(CallNotFound):
                await db.run(stranger, lambda tx: wishes.hang_up(tx, call_id, now=now))
        await db.run(manager, lambda tx: wishes.hang_up(tx, call_id, now=now))

        assert [kind for kind, _ in await asked(tenant)] == ["hang_up"]


class TestStop:
    async def test_hangs_the_supervisors_telephone_up_once(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        call_id = await talking(tenant, now)
        await begin(manager, call_id, now)

        for _ in range(2):
            await db.run(manager, lambda tx: supervision.stop(tx, call_id, now=now + SECOND))

        [row] = await kept(tenant)
        assert row["ended_at"] == now + SECOND
        assert [kind for kind, _ in await asked(tenant)] == ["spy", "hang_up"]


class TestSettle:
    async def test_ends_with_the_call(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        call_id = await talking(tenant, now)
        await begin(manager, call_id, now)
        before = await db.run(tenant.system, lambda tx: supervision.settle(tx, now=now + SECOND))
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "update crm.call set ended_at = $2::timestamptz, status = 'wrap_up' where id = $1::uuid",
                call_id, now + 2 * SECOND,
            )  # fmt: skip

        done = [await db.run(tenant.system, lambda tx: supervision.settle(tx, now=now + 9 * SECOND)) for _ in range(2)]

        [row] = await kept(tenant)
        assert (before, done, row["ended_at"]) == (0, [1, 0], now + 2 * SECOND)

    @pytest.mark.parametrize("status", ["refused", "unanswered", "expired"])
    async def test_ends_what_never_began(self, tenant: Tenant, manager: Actor, now: datetime, status: str) -> None:
        call_id = await talking(tenant, now)
        await begin(manager, call_id, now)
        async with db.transaction(tenant.system) as tx:
            await tx.execute("update crm.exchange_ask set status = $1::text where kind = 'spy'", status)

        done = await db.run(tenant.system, lambda tx: supervision.settle(tx, now=now + SECOND))

        assert done == 1

    async def test_hears_a_telephone_put_down(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        call_id = await talking(tenant, now)
        await begin(manager, call_id, now)
        [row] = await kept(tenant)
        legs = ["1772.12", str(ids.new()), str(row["ask_id"])]

        for _ in range(2):
            await db.run(tenant.system, lambda tx: supervision.hear_end(tx, legs, now=now + SECOND))

        [row] = await kept(tenant)
        assert row["ended_at"] == now + SECOND
        assert len(await floor.told(tenant, "call_supervision.ended")) == 1


class TestOfCall:
    async def test_is_for_supervisors_and_who_sees_all(self, tenant: Tenant, manager: Actor, now: datetime) -> None:
        call_id = await talking(tenant, now)
        await begin(manager, call_id, now)

        async def seen(who: Actor) -> list[Any]:
            return await db.run(who, lambda tx: supervision.of_call(tx, call_id))

        assert [len(await seen(who)) for who in (manager, tenant.compliance_auditor)] == [1, 1]
        with pytest.raises(CallNotFound):
            await seen(Actor(tenant.id, ids.new(), ids.new(), frozenset({"sales_manager"}), manager.permissions))
