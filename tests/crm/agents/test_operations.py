"""Signing on and off, pausing and coming back, by agents and by their supervisors."""

from datetime import datetime, timedelta

import pytest

from crm import db, errors, ids, tenant_settings
from crm.actor import Forbidden
from crm.agents import endpoints, operations, states
from crm.agents.endpoints import BadEndpoint, EndpointTaken, SignedOn
from crm.agents.operations import UnknownPause
from crm.agents.queries import by_endpoint, endpoint_of
from crm.agents.rules import State
from crm.agents.sessions import NoEndpoint
from crm.agents.states import AgentBusy, NotSignedOn
from crm.codes import NotACode
from crm.users import teams
from crm.users.profiles import OtherTeam
from crm.users.queries import UnknownUser
from tests.conftest import Tenant
from tests.crm.agents import floor

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class TestEndpoints:
    async def test_are_given_one_to_one(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.telephone(tenant, now, endpoint="PJSIP/agent-7")

        with pytest.raises(EndpointTaken):
            await floor.telephone(tenant, now, actor=tenant.sales_manager, endpoint="PJSIP/agent-7")
        async with db.transaction(tenant.system) as tx:
            assert await endpoint_of(tx, agent.user_id) == "PJSIP/agent-7"
            assert await by_endpoint(tx, ["PJSIP/agent-7", "PJSIP/x"]) == {"PJSIP/agent-7": agent.user_id}
            assert await endpoint_of(tx, tenant.sales_manager.user_id) is None

    @pytest.mark.parametrize(
        "wrong",
        [
            "", "agent-7", "PJSIP/a b", "PJSIP/a,b", "PJSIP/a\r\nAction: Logoff", "PJSIP/ş", "PJSIP/" + "a" * 81,
            "PJSIP/a&PJSIP/b", "PJSIP/905321234567@carrier", "PJSIP/905321234567", "PJSIP/carrier/905321234567",
            "Local/905321234567@outbound", "PJSIP/${SHELL(id)}",
        ],
    )  # fmt: skip
    async def test_are_telephones_and_lead_nowhere_else(self, tenant: Tenant, now: datetime, wrong: str) -> None:
        with pytest.raises(BadEndpoint):
            await floor.telephone(tenant, now, endpoint=wrong)

    async def test_are_given_to_people_there_are(self, tenant: Tenant, now: datetime) -> None:
        with pytest.raises(UnknownUser):
            await db.run(tenant.admin, lambda tx: endpoints.give(tx, ids.new(), "PJSIP/a", now=now))

    async def test_stay_while_somebody_works_at_them(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        with pytest.raises(SignedOn):
            await floor.telephone(tenant, now, endpoint="PJSIP/other")
        with pytest.raises(SignedOn):
            await db.run(tenant.admin, lambda tx: endpoints.take(tx, agent.user_id, now=now))
        await db.run(agent, lambda tx: operations.sign_off(tx, now=now + MINUTE))
        await db.run(tenant.admin, lambda tx: endpoints.take(tx, agent.user_id, now=now + MINUTE))
        async with db.transaction(tenant.system) as tx:
            assert await endpoint_of(tx, agent.user_id) is None

    async def test_are_not_written_where_everybody_reads(self, tenant: Tenant, now: datetime) -> None:
        await floor.signed_on(tenant, now, endpoint="PJSIP/ayse.yilmaz")

        async with db.transaction(tenant.system) as tx:
            written = await tx.fetchval(
                "select string_agg(payload_json::text, '') from crm.event_log"
            ) + await tx.fetchval("select string_agg(metadata_json::text, '') from crm.audit_log")
        assert "ayse" not in written


class TestSignOn:
    async def test_begins_a_session_available_at_once(self, tenant: Tenant, now: datetime) -> None:
        await floor.telephone(tenant, now)
        await floor.in_queue(tenant, now)
        agent = await floor.signed_on(tenant, now)

        [row] = await floor.intervals(tenant, agent)
        assert (row["state"], row["started_at"], row["ended_at"]) == ("available", now, None)
        [told] = await floor.told(tenant, "agent.signed_on")
        assert told == {"team_id": str(tenant.team_id), "session_id": str(row["session_id"])}
        [changed] = await floor.told(tenant, "agent.state_changed")
        assert (changed["from"], changed["to"], changed["team_id"]) == ("offline", "available", str(tenant.team_id))
        assert "agent.sign_on" in await floor.audited(tenant)
        assert await floor.pauses_asked(tenant) == [("PJSIP/a-1", False, "santral.available")]

    async def test_needs_a_telephone(self, tenant: Tenant, now: datetime) -> None:
        with pytest.raises(NoEndpoint, match="administrator"):
            await db.run(tenant.sales_agent, lambda tx: operations.sign_on(tx, now=now))

    async def test_twice_is_once(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        first, again = [await db.run(agent, lambda tx: operations.sign_on(tx, now=now + MINUTE / 2)) for _ in range(2)]

        assert first == again
        assert len(await floor.sessions(tenant, agent)) == 1

    async def test_is_not_for_the_system_nor_for_those_who_only_look(self, tenant: Tenant, now: datetime) -> None:
        with pytest.raises(errors.Invalid):
            await db.run(tenant.system, lambda tx: operations.sign_on(tx, now=now))
        with pytest.raises(Forbidden):
            await db.run(tenant.compliance_auditor, lambda tx: operations.sign_on(tx, now=now))

    async def test_never_begins_before_the_last_session_ended(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        await db.run(agent, lambda tx: operations.sign_off(tx, now=now + MINUTE))

        await db.run(agent, lambda tx: operations.sign_on(tx, now=now + MINUTE - SECOND))

        await floor.require_tiled(tenant, agent)
        assert (await floor.sessions(tenant, agent))[1]["started_at"] == now + MINUTE


class TestSignOff:
    async def test_ends_session_and_state(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        await floor.in_queue(tenant, now)

        await db.run(agent, lambda tx: operations.sign_off(tx, now=now + MINUTE))
        await db.run(agent, lambda tx: operations.sign_off(tx, now=now + 2 * MINUTE))

        [session] = await floor.sessions(tenant, agent)
        assert (session["ended_at"], session["end_reason"]) == (now + MINUTE, "signed_off")
        assert [row["ended_at"] for row in await floor.intervals(tenant, agent)] == [now + MINUTE]
        assert len(await floor.told(tenant, "agent.signed_off")) == 1
        assert (await floor.pauses_asked(tenant))[-1] == ("PJSIP/a-1", True, "santral.offline.signed_off")

    @pytest.mark.parametrize("busy", [State.reserved, State.ringing, State.on_call])
    async def test_waits_for_the_end_of_the_call(self, tenant: Tenant, now: datetime, busy: State) -> None:
        agent = await floor.signed_on(tenant, now)
        await floor.move(tenant, agent, busy, now + SECOND, call_id=ids.new())

        with pytest.raises(AgentBusy, match="end the call"):
            await db.run(agent, lambda tx: operations.sign_off(tx, now=now + MINUTE))


class TestPause:
    async def test_is_for_a_reason_of_the_catalogue(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        await floor.in_queue(tenant, now)

        await db.run(agent, lambda tx: operations.pause(tx, "lunch", now=now + MINUTE))

        assert await floor.standing(tenant, agent) == ("paused", "lunch")
        assert (await floor.pauses_asked(tenant))[-1] == ("PJSIP/a-1", True, "santral.paused.lunch")
        with pytest.raises(UnknownPause, match="catalogue"):
            await db.run(agent, lambda tx: operations.pause(tx, "nap", now=now + MINUTE))
        with pytest.raises(UnknownPause):
            await db.run(agent, lambda tx: operations.pause(tx, "missed_calls", now=now + MINUTE))

    async def test_obeys_the_catalogue_of_the_firm(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        wanted = [{"code": "nap", "kind": "external", "is_planned": False, "tr": "Şekerleme", "en": "Nap"}]
        await db.run(
            tenant.admin, lambda tx: tenant_settings.change(tx, "agent.pause_reasons", {"reasons": wanted}, now=now)
        )

        await db.run(agent, lambda tx: operations.pause(tx, "nap", now=now + MINUTE))

        assert await floor.standing(tenant, agent) == ("paused", "nap")

    async def test_becomes_another_one(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        for n, reason in enumerate(["break", "break", "meeting"], 1):
            await db.run(agent, lambda tx, n=n, reason=reason: operations.pause(tx, reason, now=now + n * MINUTE))

        rows = await floor.intervals(tenant, agent)
        assert [(row["state"], row["reason"]) for row in rows] == [
            ("available", None), ("paused", "break"), ("paused", "meeting"),
        ]  # fmt: skip
        await floor.require_tiled(tenant, agent)

    async def test_asked_for_in_a_call_comes_after_the_wrap_up(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=call_id)

        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + 2 * SECOND))
        during = await floor.standing(tenant, agent)
        await floor.move(tenant, agent, State.wrap_up, now + MINUTE, call_id=call_id, until=now + 2 * MINUTE)
        writing = await floor.standing(tenant, agent)
        await floor.move(tenant, agent, State.available, now + 2 * MINUTE, call_id=call_id)

        assert (during[0], writing[0]) == ("on_call", "wrap_up")
        assert await floor.standing(tenant, agent) == ("paused", "break")

    async def test_asked_for_in_a_call_can_be_taken_back(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=call_id)
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + 2 * SECOND))

        await db.run(agent, lambda tx: operations.make_ready(tx, now=now + 3 * SECOND))

        await floor.move(tenant, agent, State.available, now + MINUTE, call_id=call_id)
        assert await floor.standing(tenant, agent) == ("available", None)

    async def test_needs_a_session(self, tenant: Tenant, now: datetime) -> None:
        for change in (operations.make_ready, operations.beat):
            with pytest.raises(NotSignedOn):
                await db.run(tenant.sales_agent, lambda tx, change=change: change(tx, now=now))
        with pytest.raises(NotSignedOn):
            await db.run(tenant.sales_agent, lambda tx: operations.pause(tx, "break", now=now))


class TestMakeReady:
    async def test_ends_a_pause_and_a_wrap_up(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + SECOND))
        await db.run(agent, lambda tx: operations.make_ready(tx, now=now + 2 * SECOND))
        await floor.move(tenant, agent, State.on_call, now + 3 * SECOND, call_id=call_id)
        await floor.move(tenant, agent, State.wrap_up, now + 4 * SECOND, call_id=call_id, until=now + MINUTE)

        await db.run(agent, lambda tx: operations.make_ready(tx, now=now + 5 * SECOND))

        states_ = [row["state"] for row in await floor.intervals(tenant, agent)]
        assert states_ == ["available", "paused", "available", "on_call", "wrap_up", "available"]
        await floor.require_tiled(tenant, agent)


class TestSupervisor:
    async def test_pauses_and_frees_an_agent_of_the_team(self, tenant: Tenant, now: datetime) -> None:
        agent, manager = await floor.signed_on(tenant, now), tenant.sales_manager

        await db.run(
            manager, lambda tx: operations.pause_other(tx, agent.user_id, "meeting", now=now + SECOND)
        )  # fmt: skip
        paused = await floor.standing(tenant, agent)
        await db.run(
            manager, lambda tx: operations.make_other_ready(tx, agent.user_id, "rush", now=now + 2 * SECOND)
        )  # fmt: skip

        assert paused == ("paused", "meeting")
        assert await floor.standing(tenant, agent) == ("available", None)
        assert {"agent.pause_other", "agent.ready_other"} <= set(await floor.audited(tenant))

    async def test_signs_an_agent_off(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        await db.run(
            tenant.sales_manager,
            lambda tx: operations.sign_off_other(tx, agent.user_id, "shift_over", now=now + SECOND),
        )

        [session] = await floor.sessions(tenant, agent)
        assert (session["end_reason"], session["ended_by"]) == ("shift_over", tenant.sales_manager.user_id)

    async def test_signs_off_after_the_call(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await floor.move(tenant, agent, State.on_call, now + SECOND, call_id=call_id)

        await db.run(
            tenant.sales_manager,
            lambda tx: operations.sign_off_other(tx, agent.user_id, "shift_over", now=now + 2 * SECOND),
        )
        during = await floor.standing(tenant, agent)
        await floor.move(tenant, agent, State.available, now + MINUTE, call_id=call_id)

        assert during[0] == "on_call"
        [session] = await floor.sessions(tenant, agent)
        assert (session["ended_at"], session["end_reason"]) == (now + MINUTE, "shift_over")
        assert session["ended_by"] == tenant.sales_manager.user_id

    async def test_reaches_the_own_team_only(self, tenant: Tenant, other_tenant: Tenant, now: datetime) -> None:
        elsewhere = await db.run(
            tenant.admin, lambda tx: teams.create(tx, name="B", timezone="Europe/Istanbul", now=now)
        )
        [stranger] = await floor.hire(tenant, 1, now, team_id=elsewhere)
        await floor.signed_on(tenant, now, actor=stranger)
        rival = await floor.signed_on(other_tenant, now)

        with pytest.raises(OtherTeam):
            await db.run(
                tenant.sales_manager, lambda tx: operations.pause_other(tx, stranger.user_id, "break", now=now)
            )
        with pytest.raises(UnknownUser):
            await db.run(tenant.admin, lambda tx: operations.pause_other(tx, rival.user_id, "break", now=now))
        with pytest.raises(Forbidden):
            await db.run(tenant.sales_agent, lambda tx: operations.pause_other(tx, stranger.user_id, "break", now=now))
        await db.run(tenant.admin, lambda tx: operations.pause_other(tx, stranger.user_id, "break", now=now + SECOND))
        assert await floor.standing(tenant, stranger) == ("paused", "break")

    async def test_gives_a_code_for_a_reason(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        with pytest.raises(NotACode):
            await db.run(
                tenant.sales_manager, lambda tx: operations.sign_off_other(tx, agent.user_id, "Ayşe left", now=now)
            )


class TestReserve:
    async def test_keeps_a_free_agent_for_one_call(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        await db.run(tenant.system, lambda tx: states.reserve(tx, agent.user_id, ids.new(), now=now + SECOND))

        assert (await floor.standing(tenant, agent))[0] == "reserved"
        with pytest.raises(AgentBusy):
            await db.run(tenant.system, lambda tx: states.reserve(tx, agent.user_id, ids.new(), now=now + SECOND))
        with pytest.raises(NotSignedOn):
            await db.run(tenant.system, lambda tx: states.reserve(tx, tenant.sales_manager.user_id, ids.new(), now=now))

    async def test_takes_nobody_out_of_a_pause_but_themselves(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await db.run(agent, lambda tx: operations.pause(tx, "other_work", now=now + SECOND))

        with pytest.raises(AgentBusy):
            await db.run(tenant.system, lambda tx: states.reserve(tx, agent.user_id, call_id, now=now + 2 * SECOND))
        await db.run(agent, lambda tx: states.reserve(tx, agent.user_id, call_id, now=now + 2 * SECOND))
        await floor.move(tenant, agent, State.available, now + MINUTE, call_id=call_id)

        assert await floor.standing(tenant, agent) == ("paused", "other_work")


class TestMissed:
    async def test_pauses_after_three_in_a_row(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        for n in range(1, 4):
            call_id, at = ids.new(), now + n * MINUTE
            await floor.move(tenant, agent, State.ringing, at, call_id=call_id)
            for _ in range(2):
                await db.run(
                    tenant.system,
                    lambda tx, call_id=call_id, at=at: states.missed(tx, agent.user_id, call_id, now=at + SECOND),
                )

        assert await floor.standing(tenant, agent) == ("paused", "missed_calls")
        [told] = await floor.told(tenant, "agent.auto_paused")
        assert told["missed"] == 3
        assert [row["state"] for row in await floor.intervals(tenant, agent)] == [
            "available", "ringing", "available", "ringing", "available", "ringing", "paused",
        ]  # fmt: skip

    async def test_obeys_the_number_of_the_firm(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await db.run(tenant.admin, lambda tx: tenant_settings.change(tx, "agent.missed_at_most", 1, now=now))
        await floor.move(tenant, agent, State.ringing, now + SECOND, call_id=call_id)

        await db.run(
            tenant.system, lambda tx: states.missed(tx, agent.user_id, call_id, now=now + 2 * SECOND)
        )  # fmt: skip

        assert await floor.standing(tenant, agent) == ("paused", "missed_calls")


class TestMirrorAsks:
    async def test_pause_while_a_call_is_there_and_unpause_after_it(self, tenant: Tenant, now: datetime) -> None:
        agent, call_id = await floor.signed_on(tenant, now), ids.new()
        await floor.in_queue(tenant, now)
        await floor.move(tenant, agent, State.ringing, now + SECOND, call_id=call_id)
        await floor.move(tenant, agent, State.on_call, now + 2 * SECOND, call_id=call_id)
        await floor.move(tenant, agent, State.wrap_up, now + 3 * SECOND, call_id=call_id, until=now + MINUTE)
        await floor.move(tenant, agent, State.available, now + 4 * SECOND, call_id=call_id)

        asked = [(is_paused, reason) for _, is_paused, reason in await floor.pauses_asked(tenant)]

        assert asked == [(True, "santral.on_call"), (False, "santral.available")]

    async def test_ask_nothing_of_who_is_in_no_queue(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + SECOND))

        assert await floor.pauses_asked(tenant) == []
