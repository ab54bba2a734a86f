"""A tenant's status machine: what it may be, what it refuses, and that it never rewrites the past."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crm import db, tenant_settings
from crm.actor import Forbidden
from crm.leads import lifecycle, operations, rules
from crm.leads.lifecycle import LIFECYCLE, Lifecycle, Machine, Needed
from crm.leads.rules import FOLLOWS, TERMINAL, Status
from crm.routing import operations as routing
from tests.crm.leads.test_operations import do, events_of, make_lead, row, rows

OPEN = [status for status in Status if status not in TERMINAL]
BY_HAND = [status for status in Status if status not in (Status.new, Status.assigned)]
MACHINES = st.dictionaries(st.sampled_from(Status), st.lists(st.sampled_from(BY_HAND), unique=True))


async def set_machine(tenant, now, **parts):
    """Let a tenant's machine hold from now on."""
    await do(tenant.admin, tenant_settings.change, "lead.lifecycle", parts, now=now)


class TestLifecycle:
    def test_without_a_word_it_is_the_products_own(self):
        machine = Machine.of(Lifecycle())

        assert machine.follows == FOLLOWS
        assert machine.required[Status.lost] == {Needed.reason}

    @given(MACHINES)
    def test_what_is_taken_holds_together(self, follows):
        try:
            machine = Machine.of(Lifecycle(follows=follows))
        except ValidationError:
            return

        for status in Status:
            assert status not in machine.follows[status]
            assert Status.new not in machine.follows[status]
            assert (Status.assigned in machine.follows[status]) <= (status is Status.new)
            assert status in TERMINAL or machine.reachable(status) & TERMINAL
        for end in TERMINAL:
            assert machine.follows[end] <= FOLLOWS[end]
        assert machine.reachable(Status.assigned) >= TERMINAL

    @given(MACHINES)
    def test_what_is_refused_has_a_fault(self, follows):
        try:
            Lifecycle(follows=follows)
        except ValidationError:
            broken = {**FOLLOWS, **{status: frozenset(each) for status, each in follows.items()}}
            ends = {status: _reach(broken, status) & TERMINAL for status in OPEN}
            assert (
                any(status in each for status, each in follows.items())
                or any(set(follows.get(end, ())) - FOLLOWS[end] for end in TERMINAL)
                or (Status.won in follows and Status.lost not in follows[Status.won])
                or not all(ends.values())
                or ends[Status.assigned] != TERMINAL
            )

    @pytest.mark.parametrize(
        ("parts", "fault"),
        [
            ({"follows": {"contacted": []}}, "contacted is a dead end"),
            ({"follows": {"no_answer": ["blocked"], "blocked": ["no_answer"]}}, "blocked is a dead end"),
            ({"follows": {"won": ["contacted", "lost"]}}, "won ends a cycle"),
            ({"follows": {"won": ["recycled"]}}, "a sale can be cancelled"),
            ({"follows": {"contacted": ["contacted", "lost"]}}, "cannot follow itself"),
            ({"follows": {"contacted": ["assigned", "lost"]}}, "assigned by being given"),
            ({"follows": {"contacted": ["new", "lost"]}}, "assigned by being given"),
            ({"follows": {status: ["lost"] for status in OPEN}}, "won cannot be reached"),
            ({"required": {"assigned": ["note"]}}, "can require nothing"),
            ({"required": {"lost": ["quote"]}}, "cannot require a quote"),
            ({"required": {"won": ["reason"]}}, "a sale has none"),
            ({"follows": {"sold": ["lost"]}}, "Input should be"),
            ({"labels": {"hot": {"tr": "Sıcak", "en": "Hot"}}}, "Input should be"),
            ({"labels": {"won": {"tr": "Satış"}}}, "Field required"),
            ({"loss_reasons": {"Too dear": {"tr": "Pahalı", "en": "Too dear"}}}, "String should match"),
            ({"required": {"won": ["money"]}}, "Input should be"),
        ],
    )
    def test_says_what_is_wrong(self, parts, fault):
        with pytest.raises(ValidationError, match=fault):
            Lifecycle.model_validate(parts)

    def test_a_short_funnel_is_a_machine(self):
        machine = Machine.of(
            Lifecycle(
                follows={
                    Status.new: [Status.contacted],
                    Status.assigned: [Status.contacted],
                    Status.contacted: [Status.won, Status.lost],
                }
            )
        )

        assert machine.choices(Status.new) == [Status.contacted]
        assert machine.may_become(Status.new, Status.assigned)
        assert machine.choices(Status.contacted) == [Status.won, Status.lost]


def _reach(follows, start):
    """Return what can be reached, by another way than the machine's: one step after the other until nothing is new."""
    seen = set(follows[start])
    for _ in Status:
        seen |= {each for status in seen for each in follows[status]}
    return seen


class TestSetting:
    async def test_a_broken_machine_is_refused_and_leaves_the_old_one(self, tenant, now):
        with pytest.raises(tenant_settings.BadSetting) as refusal:
            await set_machine(tenant, now, follows={"contacted": []})

        assert "contacted is a dead end" in str(refusal.value.fields)
        async with db.transaction(tenant.system) as tx:
            assert await lifecycle.of(tx, at=now) == lifecycle.DEFAULT

    async def test_holds_from_its_instant_on(self, tenant, now):
        later = now + timedelta(days=1)
        await do(
            tenant.admin, tenant_settings.change, LIFECYCLE.key, {"follows": {"contacted": ["lost"]}},
            now=now, valid_from=later,
        )  # fmt: skip
        lead = await make_lead(tenant, now)
        await do(tenant.admin, operations.change_status, lead, Status.contacted, now=now)

        with pytest.raises(operations.BadTransition):
            await do(tenant.admin, operations.change_status, lead, Status.qualified, now=later)
        await do(tenant.admin, operations.change_status, lead, Status.qualified, now=later - timedelta(seconds=1))

    async def test_one_firms_machine_is_not_anothers(self, tenant, other_tenant, now):
        await set_machine(tenant, now, follows={"new": ["contacted"]})
        mine, theirs = await make_lead(tenant, now), await make_lead(other_tenant, now)

        with pytest.raises(operations.BadTransition):
            await do(tenant.admin, operations.change_status, mine, Status.won, now=now)
        await do(other_tenant.admin, operations.change_status, theirs, Status.won, now=now)


class TestChangeStatus:
    async def test_says_what_is_possible_instead(self, tenant, now):
        await set_machine(tenant, now, follows={"new": ["contacted", "lost"]})
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.BadTransition, match="possible: contacted, lost") as refusal:
            await do(tenant.admin, operations.change_status, lead, Status.won, now=now)

        assert refusal.value.fields == {"status": "possible from new: contacted, lost"}
        assert await events_of(tenant, lead) == []

    async def test_says_all_that_is_missing(self, tenant, now):
        await set_machine(tenant, now, required={"qualified": ["note", "quote", "procedure_type", "reason"]})
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.FieldsMissing) as refusal:
            await do(tenant.admin, operations.change_status, lead, Status.qualified, reason="budget", now=now)

        assert list(refusal.value.fields) == ["note", "quote", "procedure_type"]
        assert (await row(tenant, "select status from crm.lead"))["status"] == "new"

    async def test_a_reason_of_a_loss_is_of_the_firms_catalogue(self, tenant, now):
        await set_machine(tenant, now, loss_reasons={"moved_away": {"tr": "Taşındı", "en": "Moved away"}})
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.UnknownReason) as refusal:
            await do(tenant.admin, operations.change_status, lead, Status.lost, reason="price", now=now)
        await do(tenant.admin, operations.change_status, lead, Status.lost, reason="moved_away", now=now)

        assert refusal.value.fields == {"reason": "one of moved_away"}

    async def test_what_a_source_tells_of_the_past_is_asked_for_nothing_but_a_way(self, tenant, now):
        await set_machine(tenant, now, required={"contacted": ["note"]}, follows={"new": ["contacted"]})
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.BadTransition):
            await do(tenant.system, operations.change_status, lead, Status.lost, reason="x", is_told=True, now=now)
        await do(tenant.system, operations.change_status, lead, Status.contacted, is_told=True, now=now)
        await do(tenant.system, operations.change_status, lead, Status.lost, reason="old-one", is_told=True, now=now)

        assert (await row(tenant, "select loss_reason from crm.lead"))["loss_reason"] == "old-one"


class TestReopen:
    async def sold(self, tenant, now, **fields):
        lead = await make_lead(tenant, now, **fields)
        await do(tenant.admin, operations.assign, lead, tenant.sales_agent.user_id, reason="manual", now=now)
        await do(
            tenant.sales_agent, operations.record_activity, lead, rules.Channel.call, rules.Direction.outbound,
            "answered", now=now,
        )  # fmt: skip
        await do(tenant.admin, operations.change_status, lead, Status.lost, reason="price", now=now)
        return lead

    async def test_begins_a_cycle_with_its_own_clock_and_the_same_owner(self, tenant, now):
        lead = await self.sold(tenant, now)

        cycle = await do(tenant.sales_agent, operations.reopen, lead, reason="came_back", now=now)

        stored = await row(tenant, "select * from crm.lead")
        assert (cycle, stored["cycle_no"], stored["status"], stored["loss_reason"]) == (2, 2, "recycled", None)
        assert stored["first_attempt_at"] is None
        assert stored["owner_id"] == tenant.sales_agent.user_id
        moved, reopened = (await events_of(tenant, lead))[-2:]
        assert (moved[0], reopened[0]) == ("lead.status_changed", "lead.reopened")
        assert reopened[1] == {
            "from": "lost", "to": "recycled", "reason": "came_back", "cycle_no": 2,
            "owner_id": str(tenant.sales_agent.user_id), "team_id": str(tenant.team_id),
        }  # fmt: skip

    async def test_an_owner_who_left_does_not_get_it_back(self, tenant, now):
        lead = await self.sold(tenant, now)
        await rows(
            tenant,
            "update crm.user_account set is_active = false where id = $1::uuid returning id",
            tenant.sales_agent.user_id,
        )

        await do(tenant.admin, operations.reopen, lead, reason="came_back", now=now)

        stored = await row(tenant, "select owner_id, team_id from crm.lead")
        assert (stored["owner_id"], stored["team_id"]) == (None, tenant.team_id)
        hands = await rows(tenant, "select user_id, ended_at, reason from crm.lead_assignment order by started_at, id")
        assert [(each["user_id"], each["reason"]) for each in hands] == [
            (tenant.sales_agent.user_id, "manual"), (None, "reopened"),
        ]  # fmt: skip
        assert hands[0]["ended_at"] == now
        assert (await events_of(tenant, lead))[-1][1]["owner_id"] is None

    async def test_releasing_is_giving_away(self, tenant, now):
        lead = await self.sold(tenant, now)

        with pytest.raises(Forbidden):
            await do(tenant.sales_agent, operations.reopen, lead, reason="came_back", release=True, now=now)
        await do(tenant.sales_manager, operations.reopen, lead, reason="came_back", release=True, now=now)

        assert (await row(tenant, "select owner_id from crm.lead"))["owner_id"] is None

    async def test_what_was_released_is_given_out_again(self, tenant, now):
        lead = await self.sold(tenant, now)
        await do(tenant.sales_manager, operations.reopen, lead, reason="came_back", release=True, now=now)

        await do(tenant.system, routing.sweep, now=now)

        stored = await row(tenant, "select owner_id, status, cycle_no from crm.lead")
        assert tuple(stored.values()) == (tenant.sales_agent.user_id, "recycled", 2)

    async def test_an_open_lead_is_not_reopened(self, tenant, now):
        lead = await make_lead(tenant, now)

        with pytest.raises(operations.BadTransition, match="is open"):
            await do(tenant.admin, operations.reopen, lead, reason="came_back", now=now)

    async def test_a_firm_may_close_for_good(self, tenant, now):
        await set_machine(tenant, now, follows={"lost": []})
        lead = await self.sold(tenant, now)

        with pytest.raises(operations.BadTransition, match="possible: nothing"):
            await do(tenant.admin, operations.reopen, lead, reason="came_back", now=now)
