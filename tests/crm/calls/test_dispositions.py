"""Saying what came of a call: by whom, until when, what the lead does, and what happens when nobody says anything."""

import asyncio
from datetime import timedelta

import pytest

from crm import consent, db, tenant_settings
from crm.actor import Forbidden
from crm.agents.rules import State
from crm.calls import catalogue, dispositions, rows, wrapping
from crm.calls.chore import WrapUps
from crm.calls.dispositions import DispositionLate, NobodyKnown, NotOver
from crm.leads import operations as leads
from crm.leads.rules import Status
from tests.crm.agents import floor
from tests.crm.calls.factory import call, make_call, make_lead, make_wrapping, told

MINUTE = timedelta(minutes=1)


async def dispose(actor, call_id, code, **how):
    return await db.run(actor, lambda tx: dispositions.dispose(tx, call_id, code, **how))


async def force(tenant, now):
    return await db.run(tenant.system, lambda tx: dispositions.force_due(tx, now=now))


async def ask(tenant, question, *args):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(question, *args)


async def talking(tenant, now, **fields):
    """An agent whose call with a lead of theirs has just ended: agent, call, lead, contact."""
    agent = await floor.signed_on(tenant, now - timedelta(hours=1))
    lead_id, contact_id = await make_lead(tenant, now, agent)
    for to in (State.reserved, State.on_call):
        await floor.move(tenant, agent, to, now - MINUTE)
    call_id = await make_wrapping(tenant, now, agent=agent, lead_id=lead_id, contact_id=contact_id, **fields)
    return agent, call_id, lead_id, contact_id


class TestDispose:
    async def test_is_written_told_and_audited_and_the_lead_follows(self, tenant, now):
        agent, call_id, lead_id, _contact_id = await talking(tenant, now)

        done = await dispose(agent, call_id, "interested", note="Saat 15'te +90 532 123 45 67", now=now + MINUTE / 2)

        assert (done.code, done.lead_status, done.refusal) == ("interested", "interested", None)
        stored = await call(tenant, call_id)
        assert (stored["status"], stored["disposition"], stored["disposition_by"]) == (
            "dispositioned", "interested", agent.user_id,
        )  # fmt: skip
        assert (stored["is_disposition_forced"], stored["wrap_ended_at"]) == (False, now + MINUTE / 2)
        event, payload = (await told(tenant, call_id))[-1]
        assert event == "call.dispositioned"
        assert (payload["disposition"], payload["lead_id"], payload["is_forced"]) == ("interested", str(lead_id), False)
        [activity] = await ask(
            tenant, "select outcome, note, note_sealed from crm.activity where kind = 'call.dispositioned'"
        )
        assert activity["outcome"] == "interested"
        assert "532" not in activity["note"]
        assert activity["note_sealed"] is not None
        assert await ask(tenant, "select from crm.audit_log where action = 'call.dispose'") != []

    async def test_makes_the_agent_free_again(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)
        assert await floor.standing(tenant, agent) == ("wrap_up", None)

        await dispose(agent, call_id, "not_interested", now=now + MINUTE / 2)

        assert await floor.standing(tenant, agent) == ("available", None)
        await floor.require_tiled(tenant, agent)

    async def test_leaves_an_agent_alone_who_has_the_next_call(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)
        await floor.move(tenant, agent, State.ringing, now + MINUTE / 4, call_id=await make_call(tenant, now))

        await dispose(agent, call_id, "not_interested", now=now + MINUTE / 2)

        assert await floor.standing(tenant, agent) == ("ringing", None)

    async def test_a_lead_that_has_no_way_there_stays_and_says_why_and_the_word_is_kept(self, tenant, now):
        agent, call_id, lead_id, _ = await talking(tenant, now)
        await db.run(
            tenant.admin,
            lambda tx: leads.change_status(tx, lead_id, Status.lost, reason="price", now=now),
        )

        done = await dispose(agent, call_id, "interested", now=now)

        assert isinstance(done.refusal, leads.BadTransition)
        assert done.lead_status == "lost"
        assert "recycled" in str(done.refusal)
        assert (await call(tenant, call_id))["disposition"] == "interested"

    async def test_a_lead_never_goes_back_for_a_word_that_says_at_least(self, tenant, now):
        agent, call_id, lead_id, _ = await talking(tenant, now)
        await db.run(tenant.admin, lambda tx: leads.change_status(tx, lead_id, Status.qualified, now=now))

        done = await dispose(agent, call_id, "information", now=now)

        assert (done.lead_status, done.refusal) == ("qualified", None)

    async def test_may_be_said_otherwise_in_time_and_the_same_again_changes_nothing(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)
        await dispose(agent, call_id, "interested", now=now)

        await dispose(agent, call_id, "wrong_number", now=now + MINUTE / 2)
        await dispose(agent, call_id, "wrong_number", now=now + MINUTE / 2)

        said = [payload for event, payload in await told(tenant, call_id) if event == "call.dispositioned"]
        assert [(each["disposition"], each["previous"]) for each in said] == [
            ("interested", None), ("wrong_number", "interested"),
        ]  # fmt: skip
        steps = [step["status"] for step in rows.steps_of(await call(tenant, call_id))]
        assert steps == ["wrap_up", "dispositioned"]

    async def test_is_too_late_at_the_deadline_but_for_a_supervisor(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)

        with pytest.raises(DispositionLate):
            await dispose(agent, call_id, "interested", now=now + MINUTE)
        await dispose(tenant.sales_manager, call_id, "interested", now=now + MINUTE)

        assert (await call(tenant, call_id))["disposition_by"] == tenant.sales_manager.user_id

    async def test_is_nobody_elses(self, tenant, other_tenant, now):
        _, call_id, _, _ = await talking(tenant, now)
        [other] = await floor.hire(tenant, 1, now)

        for stranger in (other, other_tenant.admin):
            with pytest.raises(rows.CallNotFound):
                await dispose(stranger, call_id, "interested", now=now)
        with pytest.raises(Forbidden):
            await dispose(tenant.compliance_auditor, call_id, "interested", now=now)

    async def test_of_a_call_that_goes_on_or_is_history_is_refused(self, tenant, now):
        agent = tenant.sales_agent
        for how in ({"ended_at": None, "status": "connected"}, {"source": "historical"}):
            call_id = await make_call(tenant, now, agent=agent, **how)
            with pytest.raises(NotOver):
                await dispose(agent, call_id, "interested", now=now)

    async def test_of_a_call_nobody_answered_has_the_usual_time_from_its_end(self, tenant, now):
        agent = tenant.sales_agent
        lead_id, contact_id = await make_lead(tenant, now, agent)
        of = {"lead_id": lead_id, "contact_id": contact_id, "outcome": "no_answer", "connected_at": None}
        first, second = [await make_call(tenant, now, agent=agent, **of) for _ in range(2)]

        done = await dispose(agent, first, "no_answer", now=now + MINUTE - timedelta(seconds=1))

        assert done.lead_status == "no_answer"
        assert (await call(tenant, first))["wrap_ended_at"] is None
        with pytest.raises(DispositionLate):
            await dispose(agent, second, "no_answer", now=now + MINUTE)

    @pytest.mark.parametrize(
        ("code", "how", "fields"),
        [
            ("callback", {}, {"callback_at": "required for callback"}),
            ("callback", {"callback_at": -MINUTE}, {"callback_at": "lies in the past"}),
            ("other", {"note": "  "}, {"note": "required for other"}),
        ],
    )
    async def test_asks_for_what_the_word_needs(self, tenant, now, code, how, fields):
        agent, call_id, _, _ = await talking(tenant, now)
        given = {name: now + value if name == "callback_at" else value for name, value in how.items()}

        with pytest.raises(catalogue.DispositionIncomplete) as refused:
            await dispose(agent, call_id, code, now=now, **given)

        assert refused.value.fields == fields
        assert (await call(tenant, call_id))["disposition"] is None

    async def test_an_unknown_word_says_which_there_are(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)

        for code in ("ilgili", catalogue.FORCED):
            with pytest.raises(catalogue.UnknownDisposition) as refused:
                await dispose(agent, call_id, code, now=now)
            assert "wrong_number" in refused.value.fields["code"]

    async def test_a_wish_to_be_called_back_is_told(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)
        at = now + timedelta(days=1)

        await dispose(agent, call_id, "callback", callback_at=at, now=now)

        assert (await told(tenant, call_id))[-1][1]["callback_at"].startswith(at.isoformat(" ")[:16])

    async def test_who_wants_no_calls_is_left_alone_by_whomever_they_said_it_to(self, tenant, now):
        _, contact_id = await make_lead(tenant, now)
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent, contact_id=contact_id)

        await dispose(tenant.sales_agent, call_id, "opted_out", now=now)

        said = await ask(
            tenant, "select channel, purpose, status, source from crm.consent where contact_id = $1::uuid", contact_id
        )
        assert sorted(map(tuple, said)) == [
            ("call", "enquiry", "denied", "call"), ("call", "marketing", "denied", "call"),
        ]  # fmt: skip
        async with db.transaction(tenant.system) as tx:
            answers = [
                await consent.may_contact(tx, contact_id, consent.Channel.call, purpose, at=now + timedelta(days=30))
                for purpose in (consent.Purpose.marketing, consent.Purpose.enquiry)
            ]
        assert all(answer.reason is not None for answer in answers)

    async def test_a_lead_is_lost_to_who_wants_no_calls(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)

        assert (await dispose(agent, call_id, "opted_out", now=now)).lead_status == "lost"

    async def test_a_note_needs_somebody_whose_timeline_it_is(self, tenant, now):
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent)

        with pytest.raises(NobodyKnown):
            await dispose(tenant.sales_agent, call_id, "interested", note="kim?", now=now)
        done = await dispose(tenant.sales_agent, call_id, "interested", now=now)

        assert (done.lead_status, done.refusal) == (None, None)

    async def test_of_two_at_once_one_comes_after_the_other(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)

        await asyncio.gather(*(dispose(agent, call_id, "interested", now=now) for _ in range(4)))

        said = [event for event, _ in await told(tenant, call_id) if event == "call.dispositioned"]
        assert said == ["call.dispositioned"]


class TestForceDue:
    async def test_notes_that_nothing_was_said_and_frees_the_agent(self, tenant, now):
        agent, call_id, lead_id, _ = await talking(tenant, now)

        early, due, again = [await force(tenant, at) for at in (now + MINUTE / 2, now + MINUTE, now + MINUTE)]

        assert (early, due, again) == (0, 1, 0)
        stored = await call(tenant, call_id)
        assert (stored["status"], stored["disposition"], stored["is_disposition_forced"]) == (
            "dispositioned", "none", True,
        )  # fmt: skip
        assert stored["wrap_ended_at"] == stored["wrap_until"] == now + MINUTE
        assert await floor.standing(tenant, agent) == ("available", None)
        [lead] = await ask(tenant, "select status from crm.lead where id = $1::uuid", lead_id)
        assert lead["status"] == "assigned"

    async def test_two_at_once_do_it_once(self, tenant, now):
        _, call_id, _, _ = await talking(tenant, now)

        done = await asyncio.gather(*(force(tenant, now + MINUTE) for _ in range(4)))

        assert sorted(done) == [0, 0, 0, 1]
        assert [event for event, _ in await told(tenant, call_id)].count("call.dispositioned") == 1

    async def test_what_was_forced_a_supervisor_says_afterwards(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)
        await force(tenant, now + MINUTE)

        with pytest.raises(DispositionLate):
            await dispose(agent, call_id, "interested", now=now + 2 * MINUTE)
        done = await dispose(tenant.sales_manager, call_id, "interested", now=now + 2 * MINUTE)

        stored = await call(tenant, call_id)
        assert (stored["is_disposition_forced"], stored["wrap_ended_at"]) == (False, now + MINUTE)
        assert done.lead_status == "interested"


class TestExtend:
    async def test_gives_more_time_once(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)

        until = await db.run(agent, lambda tx: wrapping.extend(tx, call_id, now=now))

        assert until == now + 2 * MINUTE
        assert await force(tenant, now + MINUTE) == 0
        [state] = [each for each in await floor.intervals(tenant, agent) if each["ended_at"] is None]
        assert (state["state"], state["until"]) == ("wrap_up", until)
        with pytest.raises(wrapping.ExtendedAlready):
            await db.run(agent, lambda tx: wrapping.extend(tx, call_id, now=now))

    async def test_is_for_ones_own_call_while_it_is_written_up(self, tenant, now):
        agent, call_id, _, _ = await talking(tenant, now)
        [other] = await floor.hire(tenant, 1, now)

        with pytest.raises(rows.CallNotFound):
            await db.run(other, lambda tx: wrapping.extend(tx, call_id, now=now))
        with pytest.raises(wrapping.NotWrapping):
            await db.run(agent, lambda tx: wrapping.extend(tx, call_id, now=now + MINUTE))


class TestBegin:
    async def test_begins_once_and_lasts_as_long_as_the_firm_says(self, tenant, now):
        await db.run(tenant.admin, lambda tx: tenant_settings.change(tx, "call.wrap_s", 15, now=now))
        _agent, call_id, _, _ = await talking(tenant, now)

        async def again(tx):
            tx.unchanged()
            return await wrapping.begin(tx, await rows.lock(tx, call_id), now=now + MINUTE)

        assert await db.run(tenant.system, again) is False
        assert (await call(tenant, call_id))["wrap_until"] == now + MINUTE / 4
        assert [event for event, _ in await told(tenant, call_id)] == ["call.wrap_up"]

    async def test_a_call_without_an_agent_has_nothing_to_write_up(self, tenant, now):
        call_id = await make_call(tenant, now)

        async def begin(tx):
            return await wrapping.begin(tx, await rows.lock(tx, call_id), now=now)

        assert await db.run(tenant.system, begin) is False


class TestChore:
    async def test_ends_what_is_due_and_wakes_for_the_next(self, tenant, now):
        _, first, _, _ = await talking(tenant, now)
        second = await make_wrapping(tenant, now + MINUTE / 2, agent=tenant.sales_manager)
        chore = WrapUps(lambda: now + MINUTE)

        await chore.work(tenant.id)

        assert (await call(tenant, first))["status"] == "dispositioned"
        assert (await call(tenant, second))["status"] == "wrap_up"
        assert chore._alarms[tenant.id][0] == now + MINUTE * 3 / 2
        chore.forget_alarm(tenant.id)
