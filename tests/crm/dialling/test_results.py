"""What came of attempts: results, next tries, lock-outs, the guard's counts."""

from datetime import timedelta

import pytest

from crm.calls.story import Outcome
from crm.dialling import budgets, queries, results
from crm.dialling.guard import Allowed, Count, Window
from crm.dialling.rules import Mode
from tests.conftest import Tenant
from tests.crm.dialling.floor import NOW, claim, dialled, do, end, entry_of, fill, launch, rows, running, settle, take

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def one(tenant: Tenant, table: str):
    [row] = await rows(tenant, f"select * from crm.{table}")
    return row


async def counted(tenant: Tenant, campaign, *, now=NOW) -> Count:
    found = await do(tenant.system, lambda tx: budgets.counts(tx, campaign, "Europe/Istanbul", now=now))
    return found[Window.shift]


class TestSettle:
    @pytest.mark.parametrize(
        ("outcome", "result", "wait"),
        [
            (Outcome.busy, "busy", 10 * MINUTE), (Outcome.no_answer, "no_answer", 2 * HOUR),
            (Outcome.machine, "voicemail", 4 * HOUR), (Outcome.congestion, "failed", 5 * MINUTE),
        ],
    )  # fmt: skip
    async def test_notes_the_result_and_plans_the_next_try(self, tenant: Tenant, outcome, result, wait):
        _, [call] = await dialled(tenant)
        await end(tenant, call, outcome)

        assert await settle(tenant) == 1

        attempt, entry = await one(tenant, "dial_attempt"), await one(tenant, "dial_entry")
        assert (attempt["result"], attempt["is_abandoned"]) == (result, False)
        assert (entry["state"], entry["last_result"], entry["attempts"]) == ("listed", result, 1)
        assert entry["next_at"] >= NOW + 30 * timedelta(seconds=1) + wait

    async def test_of_a_conversation_is_the_leads_last(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        await end(tenant, call, Outcome.answered, delay_s=1.2)

        await settle(tenant)

        attempt, entry = await one(tenant, "dial_attempt"), await one(tenant, "dial_entry")
        assert (attempt["result"], attempt["connect_delay_s"], attempt["is_abandoned"]) == ("live_unknown", 1.2, False)
        assert (entry["state"], entry["reason"]) == ("done", "spoken")
        assert await counted(tenant, campaign) == Count(1, 0)

    async def test_of_a_dropped_call_leaves_the_person_alone_for_days(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        await end(tenant, call, Outcome.dropped, answered=True)

        await settle(tenant)

        attempt, entry = await one(tenant, "dial_attempt"), await one(tenant, "dial_entry")
        assert (attempt["result"], attempt["is_abandoned"]) == ("live_unknown", True)
        assert entry["locked_until"] == NOW + timedelta(seconds=30) + 3 * DAY
        assert entry["next_at"] >= entry["locked_until"]
        assert await counted(tenant, campaign) == Count(1, 1)
        assert await fill(tenant, campaign, now=NOW + 2 * DAY) == 0

    async def test_of_a_dropped_call_locks_the_person_out_of_every_campaign(self, tenant: Tenant):
        _, [call] = await dialled(tenant)
        other, _ = await running(tenant, 1, code="summer")
        by_hand, _ = await running(tenant, 1, code="autumn", mode=Mode.preview, queue=None)
        holder = await take(tenant, other)
        await fill(tenant, other)
        claimed = await claim(tenant, other, holder)
        await end(tenant, call, Outcome.dropped, answered=True)
        await settle(tenant)

        made = await launch(tenant, other, claimed, holder)
        await fill(tenant, by_hand)

        found = await rows(
            tenant, "select state, reason, next_at, locked_until from crm.dial_entry order by created_at, id"
        )
        assert made == []
        assert (found[1]["reason"], found[1]["next_at"]) == ("locked_out", found[0]["locked_until"])
        assert found[2]["state"] == "ready"

    async def test_counts_an_agent_who_came_late_as_an_abandonment_and_a_conversation(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        await end(tenant, call, Outcome.answered, delay_s=3.5)

        await settle(tenant)

        assert (await one(tenant, "dial_attempt"))["is_abandoned"]
        assert (await one(tenant, "dial_entry"))["reason"] == "spoken"
        assert await counted(tenant, campaign) == Count(1, 1)

    async def test_twice_changes_nothing(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        await end(tenant, call, Outcome.answered, delay_s=1)

        noted = [await settle(tenant) for _ in range(2)]

        told = await rows(tenant, "select event_type from crm.event_log where aggregate_type = 'dial_attempt'")
        assert noted == [1, 0]
        assert [row["event_type"] for row in told] == [
            "dial_attempt.dialled", "dial_attempt.connected", "dial_attempt.ended",
        ]  # fmt: skip
        assert await counted(tenant, campaign) == Count(1, 0)

    async def test_tells_that_somebody_speaks_while_they_do(self, tenant: Tenant):
        _, [call] = await dialled(tenant)
        await do(
            tenant.system,
            lambda tx: tx.execute(
                "update crm.call set status = 'connected', answered_at = $2::timestamptz,"
                " connected_at = $2::timestamptz where id = $1::uuid", call, NOW,
            ),
        )  # fmt: skip

        await settle(tenant)

        attempt = await one(tenant, "dial_attempt")
        assert (attempt["connected_at"], attempt["resolved_at"]) == (NOW, None)
        assert (await one(tenant, "dial_entry"))["state"] == "dialling"

    async def test_of_a_call_refused_at_the_very_last_is_no_attempt(self, tenant: Tenant):
        _, [call] = await dialled(tenant)
        await do(
            tenant.system,
            lambda tx: tx.execute(
                "update crm.call set status = 'denied', outcome = 'failed', failure = 'consent.dnc',"
                " ended_at = $2::timestamptz where id = $1::uuid", call, NOW,
            ),
        )  # fmt: skip

        await settle(tenant)

        attempt, entry = await one(tenant, "dial_attempt"), await one(tenant, "dial_entry")
        assert (attempt["result"], attempt["reason"]) == ("blocked_by_policy", "dnc")
        assert (entry["state"], entry["reason"], entry["attempts"]) == ("excluded", "dnc", 0)
        budget = await one(tenant, "dial_budget")
        assert (budget["attempts"], budget["blocked"]) == (0, 1)

    async def test_of_a_call_the_exchange_never_had_is_no_attempt(self, tenant: Tenant):
        _, [call] = await dialled(tenant)
        await do(
            tenant.system,
            lambda tx: tx.execute(
                "update crm.call set status = 'ended', outcome = 'failed', failure = 'exchange.too_late',"
                " ended_at = $2::timestamptz where id = $1::uuid", call, NOW,
            ),
        )  # fmt: skip

        await settle(tenant)

        attempt, entry = await one(tenant, "dial_attempt"), await one(tenant, "dial_entry")
        assert (attempt["result"], attempt["reason"], attempt["is_abandoned"]) == (None, "unsent", False)
        assert (entry["state"], entry["attempts"], entry["next_at"]) == ("listed", 0, NOW + MINUTE)
        assert (await one(tenant, "dial_budget"))["attempts"] == 0

    async def test_ends_a_lead_that_was_tried_often_enough(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        now, holder = NOW, await take(tenant, campaign, lasts=HOUR)
        for _ in range(30):
            entry = await one(tenant, "dial_entry")
            if entry["state"] == "done":
                break
            if entry["state"] == "dialling":
                await end(tenant, call, Outcome.no_answer, now=now)
                await settle(tenant, now=now)
            else:
                now = entry["next_at"]
                await fill(tenant, campaign, now=now)  # which puts the lead off until morning at night
                taken = await claim(tenant, campaign, holder, now=now)
                call = next((each.call_id for each in await launch(tenant, campaign, taken, holder, now=now)), call)

        assert (entry["reason"], entry["attempts"]) == ("tried_enough", 5)

    async def test_goes_to_zero_when_too_many_were_dropped(self, tenant: Tenant):
        campaign, calls = await dialled(tenant, 12)
        for n, call in enumerate(calls):
            await end(tenant, call, Outcome.answered, delay_s=None if n < 4 else 1)

        await settle(tenant)

        _, found = await do(tenant.admin, lambda tx: queries.budget(tx, campaign, now=NOW))
        assert found.readings[0].count == Count(12, 4)
        assert (found.allowed, found.reason) == (Allowed.zero, "shift.broken")
        _, later = await do(tenant.admin, lambda tx: queries.budget(tx, campaign, now=NOW + 31 * DAY))
        assert later.allowed is Allowed.progressive


class TestConfirm:
    async def dispose(self, tenant: Tenant, call, party: str | None) -> None:
        await do(
            tenant.system,
            lambda tx: tx.execute(
                "update crm.call set disposition = 'said', disposition_party = $2::text where id = $1::uuid",
                call, party,
            ),
        )  # fmt: skip
        await do(tenant.system, lambda tx: results.confirm(tx, [call], now=NOW))

    @pytest.mark.parametrize(
        ("party", "result", "count"),
        [
            ("right", "live_right_party", Count(1, 0)), ("wrong", "live_wrong_party", Count(1, 0)),
            ("machine", "voicemail", Count(0, 0)), (None, "live_unknown", Count(1, 0)),
        ],
    )  # fmt: skip
    async def test_takes_the_agents_word_for_who_answered(self, tenant: Tenant, party, result, count):
        campaign, [call] = await dialled(tenant)
        await end(tenant, call, Outcome.answered, delay_s=1)
        await settle(tenant)

        for _ in range(2):
            await self.dispose(tenant, call, party)

        assert (await one(tenant, "dial_attempt"))["result"] == result
        assert await counted(tenant, campaign) == count

    async def test_finds_what_nobody_told_of(self, tenant: Tenant):
        _, [call] = await dialled(tenant)
        await end(tenant, call, Outcome.answered, delay_s=1)
        await settle(tenant)
        await do(
            tenant.system,
            lambda tx: tx.execute("update crm.call set disposition_party = 'right' where id = $1::uuid", call),
        )

        assert await do(tenant.system, lambda tx: results.confirm(tx, None, now=NOW)) == 1


class TestGreetedAt:
    def test_is_the_answer_or_the_end_of_machine_detection(self):
        call = {"detects_machines": False, "answered_at": NOW, "steps": []}
        detected = call | {"detects_machines": True}
        queued = detected | {"steps": [{"status": "queued", "at": (NOW + MINUTE).isoformat()}]}

        assert [results.greeted_at(each) for each in (call, detected, queued)] == [NOW, None, NOW + MINUTE]


class TestEntry:
    async def test_is_not_touched_by_the_end_of_an_older_call(self, tenant: Tenant):
        campaign, [call] = await dialled(tenant)
        lead = (await one(tenant, "dial_entry"))["lead_id"]
        await do(
            tenant.system,
            lambda tx: tx.execute("update crm.dial_entry set call_id = gen_random_uuid() where campaign_id = $1::uuid",
                                  campaign),
        )  # fmt: skip
        await end(tenant, call, Outcome.busy)

        await settle(tenant)

        assert (await entry_of(tenant, lead))["state"] == "dialling"
        assert (await one(tenant, "dial_attempt"))["result"] == "busy"
