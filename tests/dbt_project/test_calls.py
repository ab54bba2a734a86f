"""Calls, their legs and stays in queues: from what the exchange told to the metrics, worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from crm import db, ids
from crm.agents.rules import By, State
from crm.calls import dispositions
from crm.queues import statistics
from crm.queues.figures import Counts
from tests.conftest import Tenant
from tests.crm.agents import floor
from tests.crm.calls.factory import make_lead
from tests.crm.queues.factory import make_queue, set_version
from tests.dbt_project import telephony
from tests.dbt_project.measuring import holds, measure, put
from tests.dbt_project.telephony import DAY, Line, tell
from tests.pipeline import Build, rows

CALLS = (
    "--select", "+fct_call_leg", "+dim_queue", "dim_date", "+fct_inbound_contact", "--indirect-selection=cautious",
)  # fmt: skip
NIGHT = datetime(2026, 3, 3, 20, 50, tzinfo=UTC)
"""Ten to midnight in Istanbul."""
NOON = DAY + timedelta(hours=6)


class TestMarts:
    async def test_hold_what_the_exchange_told(self, build: Build, tenant: Tenant, other_tenant: Tenant) -> None:
        await _open(tenant)
        warm, blind = await _given_away(tenant, DAY)
        stays = await _stay(tenant)
        await telephony.import_calls(other_tenant, telephony.golden_day())

        await build(*CALLS)

        await _require_a_warm_transfer(tenant, warm)
        await _require_a_blind_transfer(tenant, blind)
        await _require_stays(tenant, stays)
        await _require_handling(tenant)
        await _require_the_boards_figures(tenant)
        await _require_golden_numbers(other_tenant)
        await _require_resolution(tenant)


async def _open(tenant: Tenant) -> None:
    """Open queues: sales promises 20 s, from the first noon on 40 s; care promises 30 s; spare closes at night."""
    async with db.transaction(tenant.system) as tx:
        sales = await make_queue(tx, "sales", since=DAY - timedelta(days=1), sl_s=20, short_s=5)
        await set_version(tx, sales, since=NOON, sl_s=40, short_s=5)
        await make_queue(tx, "care", since=DAY - timedelta(days=1), sl_s=30, short_s=0)
        await make_queue(tx, "spare", since=DAY - timedelta(days=1), hours="calendar")


async def _given_away(tenant: Tenant, at: datetime) -> tuple[UUID, UUID]:
    """Two customers of Dana's whom she gives to Elif: one after speaking with her, one at once, by way of a queue."""
    dana = await floor.signed_on(tenant, at - timedelta(minutes=5), endpoint="PJSIP/agent-1")
    [elif_] = await floor.hire(tenant, 1, at)
    await floor.signed_on(tenant, at - timedelta(minutes=5), actor=elif_, endpoint="PJSIP/agent-2")

    first = await Line.begin(tenant, at)
    await first.hear(1, *first.comes())
    await first.hear(10, *first.connects(10, "agent-1"))
    await first.hear(24, *first.asks(20, "agent-1", "agent-2"))
    await first.hear(30, *first.gives(30, "agent-1", is_attended=True), *first.speaks(30, "agent-2", "b2"))
    await first.hear(50, first.goes(50))
    await first.hear(50.5, first.goes(50, "agent-2"))  # known a little later: the call had ended
    await floor.move(tenant, dana, State.available, first.at(60), by=By.person)
    await db.run(elif_, lambda tx: dispositions.dispose(tx, first.call_id, "interested", now=first.at(70)))

    second = await Line.begin(tenant, at + timedelta(minutes=10))
    await second.hear(6, *second.comes(), *second.connects(6, "agent-1"))
    await second.hear(16, *second.gives(16, "agent-1", is_attended=False), *second.waits(16, "care"))
    await floor.move(tenant, dana, State.available, second.at(41), by=By.person)
    await second.hear(41, *second.connects(41, "agent-2", queue="care", bridge="b2"))
    await second.hear(61, second.goes(61), second.goes(61, "agent-2"))
    return first.call_id, second.call_id


async def _stay(tenant: Tenant) -> dict[str, UUID]:
    """Stays of callers, each an edge of the definitions."""
    test_lead, _ = await make_lead(tenant, DAY, is_test=True)
    answered, gave_up = {"outcome": "answered", "talk_s": 60}, {"outcome": "abandoned"}
    return {
        "overflow": await tell(
            tenant, DAY, {"wait_s": 35, "outcome": "overflow"},
            {**answered, "visit_no": 2, "after_s": 35, "queue": "care", "wait_s": 30},
        ),
        "before_noon": await tell(tenant, NOON - timedelta(seconds=1), {**answered, "wait_s": 30}),
        "after_noon": await tell(tenant, NOON, {**answered, "wait_s": 30}),
        "midnight": await tell(tenant, NIGHT, {**answered, "wait_s": 60, "talk_s": 1800}),
        "unheard": await tell(tenant, DAY, {"wait_s": 12, "outcome": "answered", "talk_s": 0.5}),
        "mistake": await tell(tenant, DAY, {**gave_up, "wait_s": 5}),
        "no_mistake": await tell(tenant, DAY, {**gave_up, "wait_s": 5, "queue": "care"}),
        "gave_up": await tell(tenant, DAY, {**gave_up, "wait_s": 90}),
        "timeout": await tell(tenant, DAY, {"wait_s": 300, "outcome": "timeout"}),
        "callback": await tell(tenant, DAY, {"wait_s": 60, "outcome": "callback"}),
        "waiting": await tell(tenant, DAY, {}),
        "refused": await tell(tenant, DAY, {"wait_s": 0, "outcome": "system"}),
        "closed": await tell(tenant, NIGHT, {**answered, "wait_s": 3, "queue": "spare"}),
        "test": await tell(tenant, DAY, {**answered, "wait_s": 3}, lead_id=test_lead),
    }  # fmt: skip


async def _legs(tenant: Tenant, call_id: UUID) -> list[tuple[Any, ...]]:
    found = await rows(
        tenant.admin,
        "select party, talk_s::float8, hold_s::float8, wrap_s::float8, transfer_kind, is_handled"
        f" from published.fct_call_leg where call_id = '{call_id}' order by leg_no",
    )
    return [tuple(row) for row in found]


async def _visits(tenant: Tenant, call_id: UUID) -> list[tuple[Any, ...]]:
    found = await rows(
        tenant.admin,
        "select queue, outcome, wait_s::float8, in_sl, is_short_abandon from published.fct_queue_visit"
        f" where call_id = '{call_id}' order by visit_no",
    )
    return [tuple(row) for row in found]


async def _require_a_warm_transfer(tenant: Tenant, call_id: UUID) -> None:
    """One call, two legs of agents, one stay: it does not queue again."""
    assert await _legs(tenant, call_id) == [
        ("customer", 30, 10, 0, None, False), ("agent", 10, 10, 30, "attended", True), ("agent", 20, 0, 20, None, True),
    ]  # fmt: skip
    assert await _visits(tenant, call_id) == [("sales", "answered", 9, True, False)]
    [call] = await rows(tenant.admin, f"select * from published.fct_call where call_id = '{call_id}'")
    assert (call["handled_legs"], call["talk_s"], call["hold_s"], call["wrap_s"]) == (2, 30, 10, 50)
    assert (call["disposition"], call["is_disposition_forced"], call["status"]) == ("interested", False, "ended")
    assert (call["is_transferred_warm"], call["is_transferred_blind"]) == (True, False)
    assert (call["started_on"], call["timezone"]) == (date(2026, 3, 2), "Europe/Istanbul")


async def _require_a_blind_transfer(tenant: Tenant, call_id: UUID) -> None:
    """The other queue has a clock of its own."""
    assert await _legs(tenant, call_id) == [
        ("customer", 30, 0, 0, None, False), ("agent", 10, 0, 25, "blind", True), ("agent", 20, 0, 0, None, True),
    ]  # fmt: skip
    assert await _visits(tenant, call_id) == [
        ("sales", "answered", 5, True, False), ("care", "answered", 25, True, False),
    ]  # fmt: skip
    [call] = await rows(tenant.admin, f"select * from published.fct_call where call_id = '{call_id}'")
    assert (call["first_queue"], call["queue"], call["first_outcome"]) == ("sales", "care", "answered")
    assert (call["is_transferred_warm"], call["is_transferred_blind"]) == (False, True)


async def _require_stays(tenant: Tenant, stays: dict[str, UUID]) -> None:
    seen = {name: await _visits(tenant, call_id) for name, call_id in stays.items()}
    assert seen["overflow"] == [("sales", "overflow", 35, False, False), ("care", "answered", 30, True, False)]
    assert (seen["before_noon"][0][3], seen["after_noon"][0][3]) == (False, True), "each by the promise of its instant"
    assert seen["unheard"] == [("sales", "abandoned", 12, False, False)]
    assert (seen["mistake"][0][4], seen["no_mistake"][0][4]) == (True, False), "care knows no short abandons"
    assert seen["waiting"] == [("sales", "waiting", None, False, False)]
    days = await measure(tenant, "offered", by=["metric_time__day"])
    assert sorted((row["metric_time__day"], row["offered"]) for row in days) == [
        (date(2026, 3, 2), 14), (date(2026, 3, 3), 1),
    ], "the call over midnight counts on the day on which it came"  # fmt: skip
    await holds(tenant, offered_ooh=1, callback_share=1 / 15)


async def _require_handling(tenant: Tenant) -> None:
    """Of legs 10+10+30, 20+0+20, 10+0+25 and 20+0+0 (still being written up) in two calls."""
    await holds(
        tenant, handled=2, aht_s={"inbound": 36.25}, aht_s_call={"inbound": 72.5}, acw_s={"inbound": 18.75},
        hold_s={"inbound": 2.5}, talk_s={"inbound": 15.0}, transfer_rate=1.0, transfer_rate_warm=0.5,
        transfer_rate_blind=0.5,
    )  # fmt: skip
    # What is told of a call as a whole is told of the queue that it came to first; each leg is of its own.
    await holds(
        tenant, by=["queue"], handled={"sales": 2, "care": 1}, transfer_rate={"sales": 1.0},
        aht_s={("sales", "inbound"): 125 / 3, ("care", "inbound"): 20.0}, aht_s_call={("sales", "inbound"): 72.5},
    )  # fmt: skip
    by_agent = await measure(tenant, "handled", by=["call_leg__agent"])
    assert [agent["handled"] for agent in by_agent] == [2, 2]


METRICS = (
    "offered", "answered", "abandoned", "short_abandons", "service_level", "service_level_strict",
    "service_level_credit", "service_level_answered", "service_level_ignore_sl_abandons", "asa_s", "abandonment_rate",
    "abandonment_rate_gross", "avg_abandon_wait_s", "callback_share",
)  # fmt: skip


def _as_told(counts: Counts) -> dict[str, float | None]:
    return {name: getattr(counts, name) for name in METRICS}


async def _require_the_boards_figures(tenant: Tenant) -> None:
    """Boards count rows of stays; marts count events: the same definition, the same figures."""
    async with db.transaction(tenant.system) as tx:
        boards = await statistics.of_days(tx, DAY.date(), NIGHT.date(), by_day=True, by_queue=True)
        [whole] = await statistics.of_days(tx, DAY.date(), NIGHT.date(), by_day=False, by_queue=False)
    counted = {
        (row["metric_time__day"], row["queue_visit__queue"]): {name: row[name] for name in METRICS}
        for row in await measure(tenant, *METRICS, by=["metric_time__day", "queue_visit__queue"])
    }
    assert counted == {(each.day, each.queue): _as_told(each.counts) for each in boards if each.counts.offered}
    [total] = await measure(tenant, *METRICS, "wait_p50", "wait_p90")
    assert {name: total[name] for name in METRICS} == _as_told(whole.counts)
    assert (total["wait_p50"], total["wait_p90"]) == (whole.wait_p50, whole.wait_p90)
    assert 0 < (whole.counts.service_level or 0) < 1


async def _require_golden_numbers(tenant: Tenant) -> None:
    await holds(tenant, **telephony.FIGURES)
    [row] = await measure(tenant, *telephony.GOLDEN)
    assert {name: round(100 * row[name], 2) for name in telephony.GOLDEN} == telephony.GOLDEN


async def _require_resolution(tenant: Tenant) -> None:
    """A month of contacts. Ayla calls about her bill on the 1st, the 4th and the 12th, and writes on the 14th; Bora
    calls to complain on the 2nd, is called back on the 3rd, and calls about his bill on the 8th; on the 5th somebody
    calls whom nobody knows."""
    ayla, bora = ids.new(), ids.new()
    calls = [(1, ayla, "billing"), (4, ayla, "billing"), (12, ayla, "billing"), (2, bora, "complaint"),
             (8, bora, "billing"), (5, None, None)]  # fmt: skip
    put(tenant, "fct_call", *(_call(day, who, why) for day, who, why in calls))
    put(tenant, "fct_call", _call(3, bora, "complaint", direction="outbound"))
    put(tenant, "fct_activity", _message(14, ayla), _message(30, bora))

    # Of the five contacts of known people Ayla's first (3 days) has a next one for the same reason within 7 days; for
    # whatever reason her last (2 days, in writing) and Bora's first (6 days) as well. Her second comes again.
    await holds(
        tenant, since=date(2026, 5, 1), until=date(2026, 6, 1),
        fcr=4 / 5, fcr_any_reason=2 / 5, fcr_unknown_share=1 / 6, repeat_contact_rate=1 / 6,
    )  # fmt: skip
    await holds(
        tenant, by=["queue"], since=date(2026, 5, 1), until=date(2026, 6, 1),
        fcr={"sales": 4 / 5}, repeat_contact_rate={"sales": 1 / 6},
    )  # fmt: skip


def _call(day: int, who: UUID | None, why: str | None, *, direction: str = "inbound") -> dict[str, Any]:
    at = datetime(2026, 5, day, 9, tzinfo=UTC)
    return {
        "call_id": ids.new(), "direction": direction, "purpose": direction, "status": "ended", "outcome": "answered",
        "contact_id": who, "disposition": why, "requested_at": at, "started_at": at, "started_on": at.date(),
        "timezone": "Europe/Istanbul", "queue": "care", "first_queue": "sales", "is_handled": True, "is_test": False,
        "is_historical": False,
    }  # fmt: skip


def _message(day: int, who: UUID) -> dict[str, Any]:
    at = datetime(2026, 5, day, 9, tzinfo=UTC)
    return {
        "activity_id": ids.new(), "lead_id": ids.new(), "contact_id": who, "kind": "message", "channel": "whatsapp",
        "direction": "inbound", "occurred_at": at, "occurred_on": at.date(),
    }  # fmt: skip
