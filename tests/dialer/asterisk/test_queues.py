"""Queues as they are steered, on a real Asterisk with our templates."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from crm import clock, db
from crm.queues import actions, exchange_files, settings
from crm.users import teams
from tests.conftest import Tenant
from tests.crm.agents.floor import hire, signed_on
from tests.crm.queues.factory import make_queue
from tests.dialer.asterisk.lab import Lab
from tests.dialer.asterisk.test_bridge import LiveFloor, floor

__all__ = ["floor"]


async def queue(floor: LiveFloor, code: str = "sales", **settings: Any) -> UUID:
    """Have a queue since yesterday."""
    async with db.transaction(floor.tenant.system) as tx:
        return await make_queue(tx, code, since=clock.utc_now() - timedelta(days=1), **settings)


async def until(question: Callable[[], Any], *, within: float = 20) -> Any:
    """Wait until the exchange says what is wanted."""
    async with asyncio.timeout(within):
        while not (found := await asyncio.to_thread(question)):
            await asyncio.sleep(0.2)
    return found


def shown(lab: Lab, code: str = "sales") -> tuple[str, str]:
    """Return what the exchange shows of a queue's members and of its callers."""
    members, _, callers = lab.run(f"queue show {code}").partition("Callers:")
    return members, callers


async def comes_in(floor: LiveFloor, lab: Lab, n: int) -> UUID:
    """Let somebody call in; return the n-th call's id, once it is in the queue."""
    await asyncio.to_thread(lab.call_in, 60)
    async with asyncio.timeout(15):
        while len(rows := await floor.rows("select call_id from crm.queue_visit order by enqueued_at")) < n:
            await asyncio.sleep(0.1)
    return rows[n - 1]["call_id"]


async def until_outcomes(floor: LiveFloor, call_id: UUID, *wanted: tuple[str, str]) -> None:
    """Wait until a call's stays are as wanted."""
    found: list[tuple[str, str]] = []
    try:
        async with asyncio.timeout(20):
            while found != list(wanted):
                await asyncio.sleep(0.1)
                found = [(code, outcome) for code, outcome, _ in await floor.visits(call_id)]
    except TimeoutError:
        raise AssertionError(found) from None


async def test_members_follow_and_a_paused_queue_rings_nobody_until_its_end(floor: LiveFloor, tenant: Tenant, lab: Lab):
    queue_id = await queue(floor)
    await until(lambda: "PJSIP/agent-1" in shown(lab)[0])
    ends = clock.utc_now() + timedelta(seconds=5)
    await db.run(
        tenant.sales_manager, lambda tx: actions.pause(tx, queue_id, reason="drill", until=ends, now=clock.utc_now())
    )
    await until(lambda: "(paused:santral.queue_paused" in shown(lab)[0])

    call_id = await comes_in(floor, lab, 1)
    row = await floor.until_status(call_id, "connected")

    assert row["connected_at"] > ends
    assert "paused:santral.queue_paused" not in shown(lab)[0]


async def test_a_caller_put_first_stands_first(floor: LiveFloor, tenant: Tenant, lab: Lab):
    await queue(floor)
    await until(lambda: "PJSIP/agent-1" in shown(lab)[0])
    await floor.until_status(await comes_in(floor, lab, 1), "connected")
    calls = [await comes_in(floor, lab, n) for n in (2, 3, 4)]
    names = [floor.bridge.ear.name_of(str(leg["leg_id"])) for call_id in calls for leg in await floor.rows(
        "select leg_id from crm.call_leg where call_id = $1::uuid and party = 'customer'", call_id
    )]  # fmt: skip
    ends = clock.utc_now() + timedelta(minutes=5)

    await db.run(
        tenant.sales_manager,
        lambda tx: actions.prioritise(tx, calls[2], 9, reason="vip", until=ends, now=clock.utc_now()),
    )

    def order() -> list[str]:
        return re.findall(r"PJSIP/\S+", shown(lab)[1])

    await until(lambda: order() == [names[2], names[0], names[1]])


async def test_a_caller_overflows_to_the_other_queue_and_is_answered_there(floor: LiveFloor, tenant: Tenant, lab: Lab):
    team = await db.run(tenant.admin, lambda tx: teams.create(tx, name="Support", now=clock.utc_now()))
    [other] = await hire(tenant, 1, clock.utc_now(), team_id=team)
    await queue(floor, "support", rings=[{"teams": [str(team)]}])
    rule = {"after_s": 2, "way": {"to": "queue", "queue": "support"}}
    await queue(floor, rings=[{"teams": [str(tenant.team_id)]}], overflow=[rule])
    await signed_on(tenant, clock.utc_now(), actor=other, endpoint="PJSIP/agent-2")
    await until(lambda: "PJSIP/agent-1" in shown(lab)[0] and "PJSIP/agent-2" in shown(lab, "support")[0])
    await floor.until_status(await comes_in(floor, lab, 1), "connected")

    call_id = await comes_in(floor, lab, 2)
    row = await floor.until_status(call_id, "connected")

    await until_outcomes(floor, call_id, ("sales", "overflow"), ("support", "answered"))
    assert row["agent_user_id"] == other.user_id


async def test_who_waited_as_long_as_one_may_is_told_and_let_go(floor: LiveFloor, lab: Lab):
    await queue(floor, max_wait_s=2)
    await until(lambda: "PJSIP/agent-1" in shown(lab)[0])
    await floor.until_status(await comes_in(floor, lab, 1), "connected")

    call_id = await comes_in(floor, lab, 2)
    await floor.until(call_id, lambda row: row.get("ended_at"))

    await until_outcomes(floor, call_id, ("sales", "timeout"))


async def test_a_queue_that_the_templates_do_not_know_is_made_known_by_our_files(floor: LiveFloor, lab: Lab):
    said = {"welcome": "hello", "periodic": "patience", "every_s": 45, "says_wait": True}
    await queue(floor, "night", announcements=said, when_closed={"to": "message", "prompt": "late"})
    async with db.transaction(floor.tenant.system) as tx:
        known = (await settings.in_force(tx, at=clock.utc_now())).values()
    files = {
        "queues.conf": exchange_files.queues_conf(known), "extensions.conf": exchange_files.extensions_conf(known)
    }  # fmt: skip
    before = {name: (lab.folder / "etc" / name).read_text() for name in files}

    try:
        for name, text in files.items():
            (lab.folder / "etc" / name).write_text(before[name] + text)
        lab.run("dialplan reload")
        lab.run("queue reload all")
        await until(lambda: "PJSIP/agent-1" in shown(lab, "night")[0])

        assert "Playback(santral/hello)" in lab.run("dialplan show night@queues")
        assert "Gosub(say,s,1" in lab.run("dialplan show late@announce")
    finally:
        for name, text in before.items():
            (lab.folder / "etc" / name).write_text(text)
        lab.run("dialplan reload")
        lab.run("queue reload all")
