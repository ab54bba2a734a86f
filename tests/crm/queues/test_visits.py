"""Stays in queues, kept as they are told."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from crm import db, exchange
from crm.db import Tx
from crm.queues import visits
from crm.queues.rules import Outcome
from crm.queues.visits import Stay
from tests.conftest import Tenant
from tests.crm.queues.factory import after, make_call, make_queue, set_version

WAITING = "waiting"


def stay(now: datetime, **changed: Any) -> Stay:
    return Stay(**{"visit_no": 1, "queue": "sales", "enqueued_at": now, **changed})


async def rows(tx: Tx, call_id: UUID) -> list[dict[str, Any]]:
    found = await tx.fetch("select * from crm.queue_visit where call_id = $1::uuid order by visit_no", call_id)
    return [dict(row) for row in found]


async def happened(tx: Tx, call_id: UUID) -> list[tuple[str, Any]]:
    found = await tx.fetch(
        "select event_type, payload_json ->> 'outcome' as outcome from crm.event_log"
        " where aggregate_type = 'queue_visit' and aggregate_id = $1::uuid order by id",
        call_id,
    )
    return [(row["event_type"], row["outcome"]) for row in found]


class TestKeep:
    async def test_judges_a_stay_by_the_settings_of_when_it_began(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            queue_id = await make_queue(tx, since=now - timedelta(days=2), sl_s=30, short_s=3, priority=2)
            await set_version(tx, queue_id, since=after(now, 1), sl_s=10)
            call_id = await make_call(tx, now=now)

            await visits.keep(tx, call_id, [stay(now)], now=after(now, 5))
            [row] = await rows(tx, call_id)

        assert (row["queue_id"], row["outcome"], row["sl_s"], row["short_s"]) == (queue_id, WAITING, 30, 3)
        assert (row["priority"], row["due_at"]) == (2, after(now, 30))
        assert (row["timezone"], row["in_hours"]) == ("Europe/Istanbul", True)

    async def test_counts_the_wait_until_the_agent_is_heard(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            call_id = await make_call(tx, now=now)
            agent = tenant.sales_agent.user_id

            await visits.keep(tx, call_id, [stay(now)], now=now)
            answered = stay(
                now, left_at=after(now, 12), connected_at=after(now, 12.5), ring_s=4, outcome="answered",
                agent_user_id=agent,
            )  # fmt: skip
            await visits.keep(tx, call_id, [answered], now=after(now, 13))
            [row] = await rows(tx, call_id)

        assert (row["outcome"], row["wait_s"], row["ring_s"], row["agent_user_id"]) == ("answered", 12.5, 4, agent)

    async def test_tells_each_thing_once_however_often_it_is_told(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            call_id = await make_call(tx, now=now)
            gave_up = stay(now, left_at=after(now, 9), outcome="abandoned")

            for told in ([stay(now)], [stay(now)], [gave_up], [gave_up], []):
                await visits.keep(tx, call_id, told, now=after(now, 10))
            events = await happened(tx, call_id)

        assert events == [("queue_visit.joined", WAITING), ("queue_visit.left", "abandoned")]

    async def test_corrects_what_turns_out_otherwise(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            call_id = await make_call(tx, now=now)
            gave_up = stay(now, left_at=after(now, 9), outcome="abandoned")
            late = stay(now, left_at=after(now, 9), connected_at=after(now, 9), ring_s=2, outcome="answered")

            await visits.keep(tx, call_id, [gave_up], now=after(now, 10))
            await visits.keep(tx, call_id, [late], now=after(now, 11))
            events = await happened(tx, call_id)

        assert events[-1] == ("queue_visit.corrected", "answered")

    async def test_knows_a_stay_in_a_queue_that_only_the_exchange_has(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            call_id = await make_call(tx, now=now)

            await visits.keep(tx, call_id, [stay(now, queue="Kuyruk İki", visit_no=1)], now=now)
            [row] = await rows(tx, call_id)

        assert (row["queue_id"], row["queue"], row["sl_s"], row["short_s"]) == (None, "unknown", 20, 5)

    async def test_knows_who_comes_outside_opening_hours(self, tenant: Tenant, now: datetime) -> None:
        night = now.replace(hour=22)
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, hours="calendar")
            call_id = await make_call(tx, now=night)

            await visits.keep(tx, call_id, [stay(night)], now=night)
            [row] = await rows(tx, call_id)

        assert row["in_hours"] is False

    async def test_lets_a_called_back_person_keep_their_place(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now, sl_s=20)
            call_id = await make_call(tx, now=now, direction="customer_first")
            await visits.reserve_place(tx, call_id, waits_since=after(now, -300), priority=1, now=now)

            await visits.keep(tx, call_id, [stay(now)], now=now)
            [row] = await rows(tx, call_id)

        assert (row["due_at"], row["priority"]) == (after(now, -280), 1)


async def send(tx: Tx, call_id: UUID, why: str, *, now: datetime) -> UUID:
    """Ask the exchange to send a caller elsewhere, as steering does."""
    ask_id = await exchange.ask(tx, exchange.Kind.redirect, {}, call_id=call_id, now=now)
    await tx.execute(
        "update crm.queue_visit set sent_why = $2::text, sent_at = $3::timestamptz, sent_ask_id = $4::uuid"
        " where call_id = $1::uuid",
        call_id, why, now, ask_id,
    )  # fmt: skip
    return ask_id


async def answer(tx: Tx, ask_id: UUID, status: str) -> None:
    await tx.execute("update crm.exchange_ask set status = $2::text where id = $1::uuid", ask_id, status)


class TestSent:
    async def test_a_caller_we_sent_on_has_not_given_up(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            call_id = await make_call(tx, now=now)
            await visits.keep(tx, call_id, [stay(now)], now=now)
            await send(tx, call_id, "overflow", now=after(now, 30))
            left = stay(now, left_at=after(now, 30), outcome="abandoned")

            await visits.keep(tx, call_id, [left], now=after(now, 30))
            [undecided] = await rows(tx, call_id)
            elsewhere = stay(after(now, 30), visit_no=2, queue="spare")
            await visits.keep(tx, call_id, [left, elsewhere], now=after(now, 30))
            first, second = await rows(tx, call_id)
            events = await happened(tx, call_id)

        assert undecided["outcome"] == WAITING
        assert (first["outcome"], second["outcome"]) == ("overflow", WAITING)
        assert second["due_at"] == first["due_at"]
        assert ("queue_visit.left", "abandoned") not in events

    @pytest.mark.parametrize(
        ("status", "outcome"), [("done", "timeout"), ("refused", "abandoned"), ("expired", "abandoned")]
    )
    async def test_is_settled_by_the_exchanges_answer(
        self, tenant: Tenant, now: datetime, status: str, outcome: str
    ) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            call_id = await make_call(tx, now=now)
            await visits.keep(tx, call_id, [stay(now)], now=now)
            ask_id = await send(tx, call_id, "timeout", now=after(now, 30))
            await visits.keep(tx, call_id, [stay(now, left_at=after(now, 31), outcome="abandoned")], now=after(now, 31))
            await answer(tx, ask_id, status)

            decided = [await visits.settle(tx, now=after(now, 32)) for _ in range(2)]
            [row] = await rows(tx, call_id)

        assert decided == [1, 0]
        assert row["outcome"] == outcome


class TestAnEndThatWasNotTold:
    async def test_is_the_beginning_of_the_next_stay(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            await make_queue(tx, since=now)
            call_id = await make_call(tx, now=now)

            await visits.keep(tx, call_id, [stay(now)], now=now)
            later = stay(after(now, 30), visit_no=2, queue="spare")
            await visits.keep(tx, call_id, [stay(now), later], now=after(now, 30))
            first, _ = await rows(tx, call_id)

        assert (first["outcome"], first["left_at"], first["wait_s"]) == ("system", after(now, 30), 30)


class TestHeard:
    @pytest.mark.parametrize(
        ("changed", "outcome"),
        [
            ({"outcome": "answered", "connected": 5}, Outcome.answered),
            ({"outcome": "answered", "connected": 5, "ended": 5.5, "talk_s": 0.5}, Outcome.abandoned),
            ({"outcome": "answered", "connected": 5, "ended": 6, "talk_s": 1.0}, Outcome.answered),
            ({"outcome": "answered", "connected": 5, "ring_s": None}, Outcome.waiting),
            ({"outcome": "answered", "connected": 5, "ring_s": None, "ended": 60, "talk_s": 55}, Outcome.system),
            ({"outcome": "timeout"}, Outcome.timeout),
        ],
    )
    def test_answered_is_who_heard_an_agent_for_a_second(
        self, now: datetime, changed: dict[str, Any], outcome: Outcome
    ) -> None:
        told = stay(
            now, outcome=changed["outcome"], talk_s=changed.get("talk_s"), ring_s=changed.get("ring_s", 3.0),
            connected_at=after(now, changed["connected"]) if "connected" in changed else None,
            ended_at=after(now, changed["ended"]) if "ended" in changed else None,
        )  # fmt: skip

        assert visits.heard(told) is outcome


class TestForgetPlaces:
    async def test_forgets_the_old_ones_only(self, tenant: Tenant, now: datetime) -> None:
        async with db.transaction(tenant.system) as tx:
            old, young = [await make_call(tx, now=now) for _ in range(2)]
            await visits.reserve_place(tx, old, priority=1, now=now - timedelta(days=8))
            await visits.reserve_place(tx, young, priority=1, now=now)

            await visits.forget_places(tx, before=now - timedelta(days=7))

            left = await tx.fetch("select call_id from crm.queue_place")
        assert [row["call_id"] for row in left] == [young]
