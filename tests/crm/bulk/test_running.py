"""Bulk: frozen when accepted, each lead by the rules and the sight of its turn, once and never twice."""

import asyncio
import json
from collections import Counter
from datetime import timedelta

import pytest

from crm import db, filtering, ids
from crm.actor import Forbidden
from crm.bulk import operations as bulk
from crm.bulk import queries, running
from crm.bulk.operations import ToHands, ToStatus
from crm.leads import intake, lists, operations
from crm.leads.assigning import UnknownAssignee
from crm.leads.filters import FIELDS
from crm.leads.intake import NewLead
from crm.leads.lifecycle import BadTransition, FieldsMissing, UnknownReason
from crm.leads.rules import Status

CONTACTED = ToStatus(Status.contacted)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Three leads a chunk, so that few leads make several."""
    monkeypatch.setattr(bulk, "CHUNK", 3)


async def store(tenant, how_many, *, now, **fields):
    """Store leads and return their ids in order."""
    leads = [NewLead("api", email=f"{ids.new().hex}@example.com", **fields) for _ in range(how_many)]
    return [(await db.run(tenant.system, lambda tx, one=one: intake.create(tx, one, now=now))).lead_id for one in leads]


async def submit(actor, change, *, now, filters=(), lead_ids=None):
    clauses = filtering.parse_all(filters, FIELDS, personal=True)
    return await db.run(actor, lambda tx: bulk.submit(tx, change, lead_ids=lead_ids, clauses=clauses, now=now))


async def finish(tenant, run, *, now):
    """Do the run to its end and return its row."""
    while await running.step(tenant.system, run, now=now):
        pass
    return await db.run(tenant.admin, lambda tx: queries.get(tx, run))


async def verdicts(tenant, run):
    """Return the report's lines by lead."""
    text = await db.run(tenant.admin, lambda tx: queries.report(tx, run))
    lines = text.strip().split("\r\n")
    assert lines[0] == "lead_id,verdict,code"
    return {line.split(",")[0]: line.split(",", 1)[1] for line in lines[1:]}


async def rows(tenant, sql, *args):
    async with db.transaction(tenant.system) as tx:
        return [tuple(row) for row in await tx.fetch(sql, *args)]


async def traces(tenant, kind):
    """Count events, activities and audit rows of one kind by lead."""
    what = {"lead.status_changed": "lead.status", "lead.assigned": "lead.assign"}[kind]
    return [
        Counter(lead for (lead,) in await rows(tenant, sql, which))
        for sql, which in (
            ("select aggregate_id from crm.event_log where event_type = $1::text", kind),
            ("select lead_id from crm.activity where kind = $1::text", kind),
            ("select target_id from crm.audit_log where action = $1::text", what),
        )
    ]


class TestStatus:
    async def test_moves_each_by_the_rules_with_all_its_traces(self, tenant, now):
        leads = await store(tenant, 7, now=now)
        await db.run(tenant.admin, lambda tx: operations.change_status(tx, leads[0], Status.contacted, now=now))
        await db.run(
            tenant.admin, lambda tx: operations.change_status(tx, leads[1], Status.lost, reason="price", now=now)
        )
        missing = ids.new()

        run = await submit(tenant.admin, CONTACTED, lead_ids=[*leads, missing], now=now)
        row = await finish(tenant, run, now=now)

        assert (row["status"], row["total"], row["processed"]) == ("done", 8, 8)
        assert [row[name] for name in ("done", "unchanged", "refused", "not_visible")] == [5, 1, 1, 1]
        said = await verdicts(tenant, run)
        assert said[str(leads[0])] == "unchanged,"
        assert said[str(leads[1])] == "refused,lead.transition"
        assert said[str(missing)] == "not_visible,"
        assert {said[str(lead)] for lead in leads[2:]} == {"done,"}
        once = Counter(leads)
        once[leads[1]] = 1
        assert await traces(tenant, "lead.status_changed") == [once] * 3

    async def test_leaves_the_same_behind_as_one_by_one(self, tenant, now):
        single, many = await store(tenant, 2, now=now)
        lost = {"reason": "price", "now": now}
        await db.run(tenant.admin, lambda tx: operations.change_status(tx, single, Status.lost, **lost))

        await finish(
            tenant, await submit(tenant.admin, ToStatus(Status.lost, "price"), lead_ids=[many], now=now), now=now
        )

        for sql in (
            "select status, cycle_no, loss_reason, status_changed_at, updated_at from crm.lead where id = $1::uuid",
            "select event_type, payload_json, occurred_at, actor_user_id from crm.event_log"
            " where aggregate_id = $1::uuid and event_type = 'lead.status_changed'",
            "select kind, channel, detail, note, actor_user_id, occurred_at from crm.activity"
            " where lead_id = $1::uuid and kind = 'lead.status_changed'",
            "select action, target_type, metadata_json - 'trace_id', actor_user_id from crm.audit_log"
            " where target_id = $1::uuid",
        ):
            assert await rows(tenant, sql, single) == await rows(tenant, sql, many), sql

    async def test_a_reopened_lead_begins_its_next_cycle(self, tenant, now):
        (lead,) = await store(tenant, 1, now=now)
        await db.run(tenant.admin, lambda tx: operations.change_status(tx, lead, Status.lost, reason="price", now=now))

        await finish(tenant, await submit(tenant.admin, ToStatus(Status.recycled), lead_ids=[lead], now=now), now=now)

        assert await rows(tenant, "select status, cycle_no from crm.lead") == [("recycled", 2)]
        told = await rows(tenant, "select count(*) from crm.event_log where event_type = 'lead.reopened'")
        assert told == [(1,)]

    @pytest.mark.parametrize(
        ("change", "refusal"),
        [
            (ToStatus(Status.assigned), BadTransition),
            (ToStatus(Status.lost), FieldsMissing),
            (ToStatus(Status.lost, "no-such-reason"), UnknownReason),
            (ToHands(ids.new(), None), UnknownAssignee),
        ],
    )
    async def test_what_no_lead_could_take_is_refused_at_once(self, tenant, now, change, refusal):
        leads = await store(tenant, 1, now=now)

        with pytest.raises(refusal):
            await submit(tenant.admin, change, lead_ids=leads, now=now)

        assert await rows(tenant, "select count(*) from crm.bulk_run") == [(0,)]


class TestHands:
    async def test_gives_each_with_all_its_traces(self, tenant, now):
        leads = await store(tenant, 5, now=now)
        agent = tenant.sales_agent.user_id

        row = await finish(tenant, await submit(tenant.admin, ToHands(agent, None), lead_ids=leads, now=now), now=now)
        again = await finish(tenant, await submit(tenant.admin, ToHands(agent, None), lead_ids=leads, now=now), now=now)

        assert (row["done"], again["unchanged"]) == (5, 5)
        assert await rows(tenant, "select distinct owner_id, team_id, status from crm.lead") == [
            (agent, tenant.team_id, "assigned")
        ]
        assert await traces(tenant, "lead.assigned") == [Counter(leads)] * 3
        assert await rows(tenant, "select count(*) from crm.lead_assignment where ended_at is null") == [(5,)]


class TestFreezing:
    async def test_who_matches_later_is_out_and_who_matched_stays_in(self, tenant, now):
        inside = await store(tenant, 4, now=now, platform="meta")
        run = await submit(tenant.admin, CONTACTED, filters=["platform:in:meta", "status:in:new"], now=now)
        await store(tenant, 2, now=now, platform="meta")
        await db.run(tenant.admin, lambda tx: operations.change_status(tx, inside[0], Status.interested, now=now))

        row = await finish(tenant, run, now=now)

        assert (row["total"], row["done"]) == (4, 4)
        assert await verdicts(tenant, run) == dict.fromkeys(map(str, inside), "done,")

    async def test_takes_what_the_list_shows_whatever_the_filter_and_whoever_asks(self, tenant, now):
        await store(tenant, 4, now=now, platform="meta", tags=["vip"], team_id=tenant.team_id)
        await store(tenant, 4, now=now - timedelta(days=3), platform="google", team_id=tenant.team_id)
        for team in (None, tenant.team_id):
            await store(tenant, 2, now=now, campaign="a, b", tags=["vip", "cold"], team_id=team)
        for filters in (
            ["tags:any:vip"], ["tags:none:vip"], ['campaign:in:"a, b"'], ["campaign:is:null", "platform:in:meta,x"],
            ["received_at:during:last_2d"], ["team:is:mine"], ["platform:not_in:meta"], ["is_test:is:false"],
        ):  # fmt: skip
            for actor in (tenant.admin, tenant.sales_manager):
                wanted = lists.Wanted(filtering.parse_all(filters, FIELDS), fields=("id",), limit=200)
                shown = await db.run(actor, lambda tx, wanted=wanted: lists.page(tx, wanted, language="en", now=now))
                run = await submit(actor, CONTACTED, filters=filters, now=now)

                assert set(await verdicts(tenant, run)) == {json.loads(item)["id"] for item in shown.items}, filters

    async def test_nothing_or_too_much_is_refused(self, tenant, now, monkeypatch):
        await store(tenant, 3, now=now)
        monkeypatch.setattr(bulk, "MOST", 2)

        with pytest.raises(bulk.TooMany):
            await submit(tenant.admin, CONTACTED, filters=["status:in:new"], now=now)
        with pytest.raises(bulk.TooMany):
            await submit(tenant.admin, CONTACTED, lead_ids=[ids.new() for _ in range(3)], now=now)
        with pytest.raises(bulk.Nothing):
            await submit(tenant.admin, CONTACTED, filters=["status:in:won"], now=now)


class TestSight:
    async def test_is_that_of_whoever_asked_row_by_row(self, tenant, now):
        teams, others = await store(tenant, 2, now=now, team_id=tenant.team_id), await store(tenant, 2, now=now)

        listed = await submit(tenant.sales_manager, CONTACTED, lead_ids=[*teams, *others], now=now)
        filtered = await submit(tenant.sales_manager, CONTACTED, filters=["status:in:new"], now=now)
        await finish(tenant, listed, now=now)
        await finish(tenant, filtered, now=now)

        assert await verdicts(tenant, listed) == dict.fromkeys(map(str, teams), "done,") | dict.fromkeys(
            map(str, others), "not_visible,"
        )
        assert set(await verdicts(tenant, filtered)) == set(map(str, teams))

    async def test_is_asked_again_when_the_turn_comes(self, tenant, now):
        leads = await store(tenant, 5, now=now, team_id=tenant.team_id)
        run = await submit(tenant.sales_manager, CONTACTED, lead_ids=leads, now=now)
        await running.step(tenant.system, run, now=now)
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "update crm.user_account set roles = '{sales_agent}' where id = $1::uuid", tenant.sales_manager.user_id
            )

        row = await finish(tenant, run, now=now)

        assert (row["done"], row["refused"]) == (3, 2)
        assert Counter((await verdicts(tenant, run)).values()) == {"done,": 3, "refused,forbidden": 2}

    async def test_needs_the_permission_of_the_single_change(self, tenant, now):
        leads = await store(tenant, 1, now=now)
        for actor in (tenant.sales_agent, tenant.compliance_auditor):
            with pytest.raises(Forbidden):
                await submit(actor, CONTACTED, lead_ids=leads, now=now)

    async def test_a_run_is_seen_by_its_asker_and_by_who_sees_all(self, tenant, now):
        run = await submit(tenant.admin, CONTACTED, lead_ids=await store(tenant, 1, now=now), now=now)

        assert await db.run(tenant.admin, lambda tx: queries.get(tx, run))
        for work in (queries.get, queries.report, lambda tx, run: bulk.cancel(tx, run, now=now)):
            with pytest.raises(bulk.RunNotFound):
                await db.run(tenant.sales_manager, lambda tx, work=work: work(tx, run))


class TestRunning:
    async def test_two_workers_share_the_chunks(self, tenant, now):
        leads = await store(tenant, 12, now=now)
        run = await submit(tenant.admin, CONTACTED, lead_ids=leads, now=now)

        rows_ = await asyncio.gather(*(finish(tenant, run, now=now) for _ in range(3)))

        assert max(row["done"] for row in rows_) == 12
        assert await traces(tenant, "lead.status_changed") == [Counter(leads)] * 3

    async def test_a_chunk_that_fails_leaves_nothing_and_is_done_again(self, tenant, now, monkeypatch):
        leads = await store(tenant, 5, now=now)
        run = await submit(tenant.admin, CONTACTED, lead_ids=leads, now=now)
        await running.step(tenant.system, run, now=now)

        async def cut_off(*args, **kwargs):
            raise RuntimeError("cut off")

        with monkeypatch.context() as broken:
            broken.setattr(running, "_note", cut_off)
            with pytest.raises(RuntimeError, match="cut off"):
                await running.step(tenant.system, run, now=now)

        between = await db.run(tenant.admin, lambda tx: queries.get(tx, run))
        row = await finish(tenant, run, now=now)

        assert (between["status"], between["done"]) == ("running", 3)
        assert (row["status"], row["done"]) == ("done", 5)
        assert await traces(tenant, "lead.status_changed") == [Counter(leads)] * 3

    async def test_stops_where_it_is_cancelled(self, tenant, now):
        leads = await store(tenant, 5, now=now)
        run = await submit(tenant.admin, CONTACTED, lead_ids=leads, now=now)
        await running.step(tenant.system, run, now=now)

        for _ in range(2):
            await db.run(tenant.admin, lambda tx: bulk.cancel(tx, run, now=now))
        row = await finish(tenant, run, now=now)

        assert (row["status"], row["done"], row["processed"]) == ("cancelled", 3, 3)
        assert Counter((await verdicts(tenant, run)).values()) == {"done,": 3, "cancelled,": 2}
        told = await rows(tenant, "select event_type from crm.event_log where aggregate_type = 'bulk' order by id")
        assert told == [("bulk.requested",), ("bulk.cancelled",)]

    async def test_a_cancel_beside_a_chunk_waits_for_it_and_stops_the_next(self, tenant, now):
        leads = await store(tenant, 7, now=now)
        run = await submit(tenant.admin, CONTACTED, lead_ids=leads, now=now)

        async with db.transaction(tenant.admin) as tx:
            assert await running.take_chunk(tx, run, now=now)
            cancelling = asyncio.create_task(db.run(tenant.admin, lambda tx: bulk.cancel(tx, run, now=now)))
            await asyncio.sleep(0.1)
            assert not cancelling.done()
        await cancelling
        row = await finish(tenant, run, now=now)

        assert (row["status"], row["done"]) == ("cancelled", 3)
        assert Counter((await verdicts(tenant, run)).values()) == {"done,": 3, "cancelled,": 4}
        assert await traces(tenant, "lead.status_changed") == [Counter(sorted(leads)[:3])] * 3

    async def test_a_finished_run_cannot_be_cancelled(self, tenant, now):
        run = await submit(tenant.admin, CONTACTED, lead_ids=await store(tenant, 1, now=now), now=now)
        await finish(tenant, run, now=now)

        with pytest.raises(bulk.Ended):
            await db.run(tenant.admin, lambda tx: bulk.cancel(tx, run, now=now))
