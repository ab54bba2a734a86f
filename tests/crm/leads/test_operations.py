"""What changes a lead: the rules it obeys, the traces it leaves, who may."""

import asyncio
from datetime import timedelta

import pytest

from crm import db, errors, ids
from crm.actor import Forbidden
from crm.leads import intake, operations
from crm.leads.intake import NewLead
from crm.leads.operations import Assignment
from crm.leads.rules import Channel, Direction, Status
from crm.money import Money


async def make_lead(tenant, now, **fields):
    """Store a lead and return its id."""
    lead = NewLead(**({"source": "api", "email": f"{ids.new().hex}@example.com"} | fields))
    return (await db.run(tenant.system, lambda tx: intake.create(tx, lead, now=now))).lead_id


async def do(actor, operation, *args, **kwargs):
    """Run one operation in a transaction of its own."""
    return await db.run(actor, lambda tx: operation(tx, *args, **kwargs))


async def rows(tenant, sql, *args):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(sql, *args)


async def row(tenant, sql, *args):
    found = await rows(tenant, sql, *args)
    assert len(found) == 1
    return found[0]


async def events_of(tenant, lead_id):
    found = await rows(tenant, "select * from crm.event_log where aggregate_id = $1::uuid order by id", lead_id)
    return [(each["event_type"], each["payload_json"]) for each in found[1:]]


class TestAssign:
    async def test_gives_a_new_lead_to_a_person_and_their_team(self, tenant, now):
        lead, agent = await make_lead(tenant, now), tenant.sales_agent.user_id

        await do(tenant.admin, operations.assign, lead, agent, reason="manual", now=now)

        stored = await row(tenant, "select * from crm.lead where id = $1::uuid", lead)
        assert (stored["owner_id"], stored["team_id"], stored["status"]) == (agent, tenant.team_id, "assigned")
        given, moved = await events_of(tenant, lead)
        assert given == (
            "lead.assigned",
            {"user_id": str(agent), "team_id": str(tenant.team_id), "reason": "manual", "decision_id": None,
             "previous_user_id": None, "previous_team_id": None},
        )  # fmt: skip
        assert moved == (
            "lead.status_changed", {"from": "new", "to": "assigned", "reason": "manual", "cycle_no": 1},
        )  # fmt: skip

    async def test_history_tiles_and_has_one_open_end(self, tenant, now):
        lead = await make_lead(tenant, now)
        people = [tenant.sales_agent, tenant.sales_manager, tenant.sales_agent]

        for minute, person in enumerate(people):
            later = now + timedelta(minutes=minute)
            await do(tenant.admin, operations.assign, lead, person.user_id, reason="manual", now=later)

        history = await rows(tenant, "select * from crm.lead_assignment order by started_at")
        assert [each["user_id"] for each in history] == [person.user_id for person in people]
        assert [each["ended_at"] for each in history] == [each["started_at"] for each in history[1:]] + [None]
        assert {each["assigned_by"] for each in history} == {tenant.admin.user_id}

    async def test_racing_hands_leave_one_owner(self, tenant, now):
        lead = await make_lead(tenant, now)
        people = [tenant.sales_agent, tenant.sales_manager, tenant.admin] * 3

        await asyncio.gather(
            *(
                do(tenant.system, operations.assign, lead, each.user_id, reason="router.test", now=now)
                for each in people
            )
        )

        opened = await row(tenant, "select user_id from crm.lead_assignment where ended_at is null")
        stored = await row(tenant, "select owner_id from crm.lead")
        assert opened["user_id"] == stored["owner_id"]

    async def test_the_same_hands_change_nothing(self, tenant, now):
        lead, agent = await make_lead(tenant, now), tenant.sales_agent.user_id
        await do(tenant.admin, operations.assign, lead, agent, reason="manual", now=now)
        before = await events_of(tenant, lead)

        await do(tenant.admin, operations.assign, lead, agent, reason="manual", now=now)

        assert await events_of(tenant, lead) == before

    async def test_refuses_people_who_are_gone(self, tenant, now):
        lead = await make_lead(tenant, now)
        await rows(tenant, "update crm.user_account set is_active = false where id = $1::uuid", tenant.analyst.user_id)

        for nobody in (ids.new(), tenant.analyst.user_id):
            with pytest.raises(operations.UnknownAssignee):
                await do(tenant.admin, operations.assign, lead, nobody, reason="manual", now=now)

    async def test_refuses_free_text_as_reason(self, tenant, now):
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.NotACode):
            await do(tenant.admin, operations.assign, lead, tenant.admin.user_id, reason="Ask Ayşe", now=now)

    async def test_agents_may_not(self, tenant, now):
        with pytest.raises(Forbidden):
            await do(tenant.sales_agent, operations.assign, ids.new(), None, reason="manual", now=now)


class TestAssignMany:
    async def test_gives_a_batch_and_passes_over_what_is_owned_or_gone(self, tenant, now):
        leads = [await make_lead(tenant, now) for _ in range(3)]
        agent = tenant.sales_agent.user_id
        await do(tenant.system, operations.assign, leads[0], agent, reason="manual", now=now)
        wanted = [Assignment(lead, agent, "router.test") for lead in [*leads, ids.new()]]

        given = await do(tenant.system, operations.assign_many, wanted, only_waiting=True, now=now)

        assert sorted(given) == sorted(leads[1:])
        assert len(await rows(tenant, "select from crm.event_log where event_type = 'lead.assigned'")) == 3


class TestChangeStatus:
    async def test_writes_who_when_and_why(self, tenant, now):
        lead = await make_lead(tenant, now)

        await do(tenant.admin, operations.change_status, lead, Status.lost, reason="price", note="too dear", now=now)

        stored = await row(tenant, "select * from crm.lead")
        assert (stored["status"], stored["loss_reason"], stored["status_changed_at"]) == ("lost", "price", now)
        change = {"from": "new", "to": "lost", "reason": "price", "cycle_no": 1}
        assert await events_of(tenant, lead) == [("lead.status_changed", change)]
        activity = await row(tenant, "select * from crm.activity where kind = 'lead.status_changed'")
        assert (activity["detail"], activity["note"]) == (change, "too dear")
        assert activity["actor_user_id"] == tenant.admin.user_id
        audit = await row(tenant, "select * from crm.audit_log")
        assert (audit["action"], audit["target_id"]) == ("lead.status", lead)

    async def test_reopening_begins_the_next_cycle(self, tenant, now):
        lead = await make_lead(tenant, now)
        await do(tenant.admin, operations.change_status, lead, Status.lost, reason="price", now=now)

        await do(tenant.admin, operations.change_status, lead, Status.recycled, now=now)

        stored = await row(tenant, "select cycle_no, loss_reason from crm.lead")
        assert (stored["cycle_no"], stored["loss_reason"]) == (2, None)

    async def test_lost_needs_a_reason(self, tenant, now):
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.FieldsMissing):
            await do(tenant.admin, operations.change_status, lead, Status.lost, now=now)

    async def test_refuses_what_may_not_follow(self, tenant, now):
        lead = await make_lead(tenant, now)
        await do(tenant.admin, operations.change_status, lead, Status.contacted, now=now)

        for wanted in (Status.new, Status.assigned):
            with pytest.raises(operations.BadTransition):
                await do(tenant.admin, operations.change_status, lead, wanted, now=now)

    async def test_the_same_status_changes_nothing(self, tenant, now):
        lead = await make_lead(tenant, now)

        await do(tenant.admin, operations.change_status, lead, Status.new, now=now)

        assert await events_of(tenant, lead) == []

    async def test_anothers_lead_is_not_found(self, tenant, other_tenant, now):
        lead = await make_lead(tenant, now)

        for stranger in (tenant.sales_agent, tenant.sales_manager, other_tenant.admin):
            with pytest.raises(operations.LeadNotFound):
                await do(stranger, operations.change_status, lead, Status.contacted, now=now)


class TestRecordActivity:
    async def test_the_first_attempt_of_a_person_stops_the_clock(self, tenant, now):
        lead = await make_lead(tenant, now)
        calls = [
            (tenant.system, Direction.outbound, 1),
            (tenant.admin, Direction.inbound, 2),
            (tenant.admin, Direction.outbound, 3),
            (tenant.admin, Direction.outbound, 4),
        ]

        for actor, direction, minute in calls:
            at = now + timedelta(minutes=minute)
            await do(actor, operations.record_activity, lead, Channel.call, direction, "no_answer", now=at)

        stored = await row(tenant, "select first_attempt_at from crm.lead")
        assert stored["first_attempt_at"] == now + timedelta(minutes=3)
        assert [payload["is_human"] for _, payload in await events_of(tenant, lead)] == [False, True, True, True]

    async def test_keeps_numbers_out_of_what_everyone_reads(self, tenant, now):
        lead = await make_lead(tenant, now)
        note = "call back on 0532 123 45 67 or a@example.com"

        await do(tenant.admin, operations.record_activity, lead, Channel.note, None, None, note=note, now=now)

        activity = await row(tenant, "select * from crm.activity where kind = 'note'")
        assert activity["note"] == "call back on ••• or •••"
        assert b"532" not in activity["note_sealed"]
        assert "note" not in (await events_of(tenant, lead))[0][1]

    async def test_refuses_the_future_and_calls_without_direction(self, tenant, now):
        lead = await make_lead(tenant, now)
        later = now + timedelta(minutes=1)

        with pytest.raises(errors.Invalid, match="happened"):
            await do(
                tenant.admin, operations.record_activity, lead, Channel.note, None, None, occurred_at=later, now=now
            )
        with pytest.raises(errors.Invalid, match="direction"):
            await do(tenant.admin, operations.record_activity, lead, Channel.call, None, None, now=now)


class TestRecordSale:
    async def test_wins_the_lead_and_keeps_the_amount(self, tenant, now):
        lead = await make_lead(tenant, now)

        await do(tenant.admin, operations.record_sale, lead, Money.of("1250.50", "TRY"), now=now)

        assert (await row(tenant, "select status from crm.lead"))["status"] == "won"
        moved, sold = await events_of(tenant, lead)
        assert moved[1]["to"] == "won"
        stored = await row(tenant, "select * from crm.sale")
        money = {"amount_minor": 125050, "currency": "TRY", "exponent": 2}
        assert {name: stored[name] for name in money} == money
        assert sold == (
            "lead.sold",
            {**money, "sale_id": str(stored["id"]), "quote_id": None, "procedure_type": None, "cycle_no": 1},
        )  # fmt: skip

    async def test_a_lead_is_sold_once(self, tenant, now):
        lead = await make_lead(tenant, now)
        await do(tenant.admin, operations.record_sale, lead, Money(100, "TRY"), now=now)

        with pytest.raises(operations.BadTransition):
            await do(tenant.admin, operations.record_sale, lead, Money(100, "TRY"), now=now)


class TestUpdate:
    async def test_changes_what_it_names_and_scrubs_answers(self, tenant, now):
        lead = await make_lead(tenant, now, keyword="old")
        changes = {"tags": ["vip"], "attributes": {"budget": "call 0532 123 45 67"}}

        await do(tenant.admin, operations.update, lead, changes, now=now)

        stored = await row(tenant, "select * from crm.lead")
        assert (stored["tags"], stored["attributes"], stored["keyword"]) == (["vip"], {"budget": "call •••"}, "old")
        assert await events_of(tenant, lead) == [
            ("lead.updated", {"fields": ["attributes", "tags"], "has_note": False})
        ]

    async def test_the_same_again_changes_nothing(self, tenant, now):
        lead = await make_lead(tenant, now, keyword="old")

        await do(tenant.admin, operations.update, lead, {"keyword": "old"}, now=now)

        assert await events_of(tenant, lead) == []

    async def test_refuses_to_rewrite_where_it_came_from(self, tenant, now):
        lead = await make_lead(tenant, now)

        with pytest.raises(errors.Invalid):
            await do(tenant.admin, operations.update, lead, {"campaign": "mine"}, now=now)
