"""What the exchange says of pauses: our echo changes nothing, others' words are followed, what is lost is asked for."""

from datetime import datetime, timedelta

from crm import db, ids
from crm.agents import mirror, operations
from crm.agents.rules import State
from tests.conftest import Tenant
from tests.crm.agents import floor

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def heard(
    tenant: Tenant,
    at: datetime,
    is_paused: bool,
    reason: str = "",
    *,
    queue: str = "sales",
    endpoint: str = "PJSIP/a-1",
) -> bool:
    return await db.run(
        tenant.system, lambda tx: mirror.heard(tx, endpoint, is_paused, reason, queue=queue, now=at)
    )  # fmt: skip


async def sent(tenant: Tenant) -> None:
    """Let everything asked so far have been sent and answered."""
    async with db.transaction(tenant.system) as tx:
        await tx.execute("update crm.exchange_ask set status = 'done' where status = 'waiting'")


async def on_duty(tenant: Tenant, now: datetime) -> floor.Actor:
    """Sign an agent on whose membership of a queue the exchange has told, unpaused."""
    agent = await floor.signed_on(tenant, now)
    await sent(tenant)
    await heard(tenant, now, False, "santral.available")
    return agent


class TestHeard:
    async def test_takes_our_own_echo_for_nothing(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + SECOND))
        before = await floor.pauses_asked(tenant)
        await sent(tenant)

        changed = await heard(tenant, now + 2 * SECOND, True, "santral.paused.break")

        assert not changed
        assert await floor.standing(tenant, agent) == ("paused", "break")
        assert await floor.pauses_asked(tenant) == before

    async def test_follows_a_pause_made_at_the_telephone_and_its_end(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)

        await heard(tenant, now + SECOND, True, "coffee")
        paused = await floor.standing(tenant, agent)
        await sent(tenant)
        await heard(tenant, now + MINUTE, False, "back")

        assert paused == ("paused", "exchange")
        assert await floor.standing(tenant, agent) == ("available", None)
        await floor.require_tiled(tenant, agent)

    async def test_comes_to_rest_after_each_foreign_word(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)

        await heard(tenant, now + SECOND, True, "coffee")
        rounds = 0
        while True:
            asked = (await floor.pauses_asked(tenant))[rounds:]
            if not asked:
                break
            rounds += 1
            await sent(tenant)
            await heard(tenant, now + (1 + rounds) * SECOND, asked[0][1], asked[0][2])
            assert rounds < 5, "our own echo asks for more"

        assert rounds == 1
        assert await floor.standing(tenant, agent) == ("paused", "exchange")

    async def test_ends_a_pause_of_ours_that_was_ended_at_the_telephone(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + SECOND))
        await sent(tenant)
        await heard(tenant, now + 2 * SECOND, True, "santral.paused.break")

        await heard(tenant, now + MINUTE, False)

        assert await floor.standing(tenant, agent) == ("available", None)

    async def test_takes_what_was_said_before_our_ask_for_old(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + SECOND))

        on_its_way = await heard(tenant, now + SECOND, False)
        await sent(tenant)
        late = await heard(tenant, now + 2 * SECOND, False)

        assert (on_its_way, late) == (False, True)
        assert await floor.standing(tenant, agent) == ("paused", "break")
        assert (await floor.pauses_asked(tenant))[-1] == ("PJSIP/a-1", True, "santral.paused.break")

    async def test_keeps_queues_apart(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)
        await heard(tenant, now, False, queue="service")
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + SECOND))
        await sent(tenant)

        await heard(tenant, now + 2 * SECOND, True, "santral.paused.break", queue="sales")
        await heard(tenant, now + 2 * SECOND, False, queue="service")
        await heard(tenant, now + 2 * SECOND, True, "santral.paused.break", queue="service")

        assert await floor.standing(tenant, agent) == ("paused", "break")

    async def test_asks_again_for_a_pause_that_never_arrived(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await on_duty(tenant, now), ids.new()
        await heard(tenant, now, True, "santral.on_call")
        await sent(tenant)
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=call_id)
        await sent(tenant)

        await heard(tenant, now + MINUTE, False)

        assert (await floor.standing(tenant, agent))[0] == "on_call"
        assert (await floor.pauses_asked(tenant))[-1] == ("PJSIP/a-1", True, "santral.on_call")
        assert len(await floor.told(tenant, "agent.mirror_repeated")) == 2

    async def test_leaves_an_agent_whose_telephone_rings(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)
        await floor.move(tenant, agent, State.ringing, now + SECOND, call_id=ids.new())

        assert not await heard(tenant, now + 2 * SECOND, True, "coffee")
        assert (await floor.standing(tenant, agent))[0] == "ringing"

    async def test_forgets_a_queue_that_was_left(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)
        await heard(tenant, now, True, "santral.available")
        await db.run(tenant.system, lambda tx: mirror.left(tx, "PJSIP/a-1", "sales", now=now + SECOND))
        await sent(tenant)
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + 2 * SECOND))
        await sent(tenant)

        asked_again = await heard(tenant, now + 3 * SECOND, False)

        assert asked_again
        assert await floor.standing(tenant, agent) == ("paused", "break"), "a new member is nobody's word"

    async def test_keeps_what_is_said_of_agents_who_are_not_there(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.telephone(tenant, now)
        await heard(tenant, now, True, "santral.offline.signed_off")

        await db.run(agent, lambda tx: operations.sign_on(tx, now=now + SECOND))

        assert await floor.pauses_asked(tenant) == [("PJSIP/a-1", False, "santral.available")]

    async def test_forgets_what_a_new_exchange_does_not_know(self, tenant: Tenant, now: datetime) -> None:
        agent = await on_duty(tenant, now)
        await heard(tenant, now, False, queue="service")

        await db.run(tenant.system, lambda tx: mirror.keep_only(tx, [("PJSIP/a-1", "service")], now=now))
        async with db.transaction(tenant.system) as tx:
            left = [row["queue"] for row in await tx.fetch("select queue from crm.agent_mirror")]
        await db.run(tenant.system, lambda tx: mirror.keep_only(tx, [], now=now))
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + SECOND))

        assert left == ["service"]
        assert await floor.pauses_asked(tenant) == []

    async def test_knows_no_strangers(self, tenant: Tenant, now: datetime) -> None:
        await floor.telephone(tenant, now)

        assert not await heard(tenant, now, True, endpoint="PJSIP/stranger")
        assert not await heard(tenant, now, True)

    async def test_keeps_no_words_of_others(self, tenant: Tenant, now: datetime) -> None:
        await on_duty(tenant, now)

        await heard(tenant, now + SECOND, True, "Ayşe at the dentist +905321234567")

        async with db.transaction(tenant.system) as tx:
            events = await tx.fetchval("select string_agg(payload_json::text, '') from crm.event_log")
            rows = await tx.fetchval("select string_agg(m::text, '') from crm.agent_mirror m")
        assert "dentist" not in events + rows
