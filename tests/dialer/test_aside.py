"""What nobody can take is set aside by name, and stops nothing else."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import pytest

from crm import clock, db, errors, exchange
from crm.calls import keeping
from crm.calls.facts import LegEnded, QueueJoined
from dialer.aside import Aside
from dialer.exchange.people import Party
from tests.crm.agents.floor import hire, signed_on
from tests.dialer.floor import Floor, at_work

NUMBER, OTHER = "+905321234567", "+905321234568"
CUSTOMER = "PJSIP/905321234567@carrier"


@pytest.fixture
async def floor(tenant):
    async with at_work(tenant) as floor:
        yield floor


class TestEach:
    async def test_takes_all_but_the_one_at_fault_in_their_order(self):
        taken, aside = [], Aside()

        async def work(things: Sequence[int]) -> None:
            if 3 in things:
                raise LookupError
            taken.extend(things)

        await aside.each([1, 2, 3, 4, 5], work, lambda _: "three")

        assert taken == [1, 2, 4, 5]
        assert aside.counts == {"three": 1}

    async def test_is_not_for_trouble_that_passes(self):
        async def work(things: Sequence[int]) -> None:
            raise errors.Unavailable

        with pytest.raises(errors.Unavailable):
            await Aside().each([1, 2], work, str)


class TestIsGone:
    @pytest.mark.parametrize(
        "error",
        [
            OSError(), asyncpg.CannotConnectNowError(), asyncpg.AdminShutdownError(), asyncpg.DeadlockDetectedError(),
            asyncpg.UndefinedTableError(), asyncpg.InterfaceError("closed"), errors.Unavailable(),
        ],
        ids=repr,
    )  # fmt: skip
    def test_says_what_passes(self, error):
        assert db.is_gone(error)

    @pytest.mark.parametrize(
        "error",
        [
            LookupError(), asyncpg.UntranslatableCharacterError(), asyncpg.UniqueViolationError(),
            asyncpg.exceptions._base.DataError("an argument"), errors.NotFound(),
        ],
        ids=repr,
    )  # fmt: skip
    def test_says_what_does_not(self, error):
        assert not db.is_gone(error)


class TestHearing:
    async def test_a_fact_that_cannot_be_stored_stops_no_other(self, floor: Floor):
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")
        name, now = str(placed.call_id), clock.utc_now()

        await floor.bridge.tell(
            [
                QueueJoined(call_id=name, leg_id=name, at=now, queue="a\0b", position=1),
                LegEnded(call_id=name, leg_id=name, at=now, cause=10**12, was_up=True),
                LegEnded(call_id=name, leg_id=name, at=now, cause=16, was_up=True),
            ]
        )

        kinds = await floor.rows("select kind from crm.call_fact where call_id = $1::uuid and body->>'cause' = '16'",
                                 placed.call_id)  # fmt: skip
        assert kinds == [{"kind": "LegEnded"}]
        assert floor.bridge.aside.counts == {"QueueJoined": 1, "LegEnded": 1}

    async def test_nonsense_on_the_wire_stops_nothing(self, floor: Floor):
        floor.people[CUSTOMER] = Party(rings_s=20, stays_s=20)
        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "ringing")
        of = [("Uniqueid", str(placed.call_id)), ("Linkedid", str(placed.call_id)), ("Channel", "PJSIP/x-00000001")]

        for nonsense in (
            [("Event", "QueueCallerJoin"), *of, ("Queue", "a\0b"), ("Position", "1")],
            [("Event", "AgentRingNoAnswer"), *of, ("RingTime", "9" * 400)],
            [("Event", "Cdr"), *of, ("Disposition", "ANSWERED"), ("Duration", "9" * 30), ("BillableSeconds", "1")],
            [("Event", "Newstate"), *of, ("ChannelStateDesc", "Ringing"), ("Timestamp", "1")],
        ):
            floor.exchange.board.tell(nonsense)
        row = await floor.until_status(placed.call_id, "wrap_up")

        assert row["outcome"] == "answered"
        assert row["started_at"] > clock.utc_now() - timedelta(hours=1)

    async def test_a_listener_that_fails_hears_again_and_stops_nothing(self, floor: Floor):
        def fail(told: object) -> None:
            raise RuntimeError

        floor.bridge.listeners.append(fail)

        placed = await floor.click(await floor.lead(NUMBER))
        await floor.until_status(placed.call_id, "connected")

        assert floor.bridge.aside.counts["listener"] > 1

    async def test_what_is_told_of_a_caller_before_their_arrival_is_not_lost(self, floor: Floor, tenant):
        await floor.serve("sales")
        of = [("Uniqueid", "early-1"), ("Linkedid", "early-1"), ("Channel", "PJSIP/carrier-000000ff")]
        at = clock.utc_now()
        floor.exchange.board.tell([("Event", "Newchannel"), *of, ("Timestamp", f"{at.timestamp():.6f}")])
        while not floor.bridge.foreign:
            await asyncio.sleep(0.02)

        floor.exchange.board.tell(
            [("Event", "UserEvent"), ("UserEvent", "Arrived"), *of, ("CallerIDNum", "5321234567"), ("Queue", "sales")]
        )
        row = await floor.until(keeping.call_id_of(tenant.id, "early-1"), lambda row: row.get("started_at") is not None)

        assert (row["status"], row["steps"]) == ("ringing", ["ringing"])
        assert abs(row["started_at"] - at) < timedelta(milliseconds=1)


class TestSending:
    async def test_an_ask_that_cannot_be_taken_holds_up_no_other(self, floor: Floor, tenant, now):
        [other] = await hire(tenant, 1, now)
        await signed_on(tenant, clock.utc_now(), actor=other, endpoint="PJSIP/agent-2")
        bad, good = await floor.lead(NUMBER), await floor.lead(OTHER, owner=other)

        async with floor.out_of_reach():
            broken = await floor.click(bad)
            whole = await floor.click(good, other)
            await floor.rows(
                "update crm.contact_point set sealed = '\\x00' where contact_id ="
                " (select contact_id from crm.lead where id = $1::uuid) returning id", bad
            )  # fmt: skip

        await floor.until_status(whole.call_id, "connected")
        row = await floor.until_status(broken.call_id, "ended")
        assert (row["outcome"], row["failure"]) == ("failed", "ask.defect")
        assert await floor.agent_state() == "available"

    async def test_an_ask_without_sense_is_refused_by_name(self, floor: Floor):
        async with db.transaction(floor.tenant.system) as tx:
            ask_id = await exchange.ask(tx, exchange.Kind.blind_transfer, {}, now=clock.utc_now())

        rows: list[dict[str, object]] = []
        while not rows:
            await asyncio.sleep(0.02)
            rows = await floor.rows(
                "select status, failure from crm.exchange_ask where id = $1::uuid and answered_at is not null", ask_id
            )

        assert rows == [{"status": "refused", "failure": "ask.defect"}]

    async def test_a_call_that_is_over_is_not_begun(self, floor: Floor):
        async with floor.out_of_reach():
            placed = await floor.click(await floor.lead(NUMBER))
            await floor.rows(
                "update crm.call set status = 'ended', ended_at = now() where id = $1::uuid returning id",
                placed.call_id,
            )

        [ask] = await floor.until_asks(placed.call_id, 1)

        assert (ask["status"], ask["failure"]) == ("refused", "call.over")
        assert floor.exchange.board.book == []
