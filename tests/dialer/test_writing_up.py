"""From the end of a conversation on: the agent writes it up or does not, and what was said is kept and played."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from crm import clock, db, objects, tenant_settings
from crm.calls import dispositions
from crm.calls.chore import WrapUps
from crm.chores import follow
from crm.recordings import links, operations, spool
from dialer.exchange.people import Party
from dialer.exchange.recording import tone
from tests.dialer.floor import Floor, at_work

NUMBER = "+905321234567"
CUSTOMER = "PJSIP/905321234567@carrier"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder in which the exchange leaves its files."""
    objects.forget()
    return tmp_path / "spool"


@pytest.fixture
async def floor(tenant, folder):
    async with at_work(tenant, recordings=folder) as floor:
        yield floor


async def talked(floor: Floor):
    """A call of the agent with a lead of theirs that has just ended."""
    lead = await floor.lead(NUMBER)
    floor.people[CUSTOMER] = Party(rings_s=1, stays_s=4)
    placed = await floor.click(lead)
    return await floor.until_status(placed.call_id, "wrap_up")


async def test_the_agents_word_moves_the_lead_and_frees_the_agent(floor: Floor):
    call = await talked(floor)
    assert await floor.agent_state() == "wrap_up"

    done = await db.run(
        floor.tenant.sales_agent,
        lambda tx: dispositions.dispose(tx, call["id"], "interested", now=clock.utc_now()),
    )

    assert (done.lead_status, done.refusal) == ("interested", None)
    assert await floor.agent_state() == "available"
    assert (await floor.call(call["id"]))["steps"][-3:] == ["ended", "wrap_up", "dispositioned"]
    told = await floor.rows(
        "select kind, outcome from crm.activity where lead_id = $1::uuid and channel = 'call' order by occurred_at",
        call["lead_id"],
    )
    assert [(each["kind"], each["outcome"]) for each in told] == [
        ("call", "answered"), ("call.dispositioned", "interested"),
    ]  # fmt: skip


async def test_silence_is_noted_at_the_deadline_by_the_worker(floor: Floor):
    await db.run(
        floor.tenant.admin, lambda tx: tenant_settings.change(tx, "call.wrap_s", 1, now=clock.utc_now())
    )  # fmt: skip
    chore, stop = WrapUps(clock.utc_now), asyncio.Event()

    async with asyncio.TaskGroup() as worker:
        worker.create_task(follow([chore], stop))
        worker.create_task(chore.run(stop))
        call = await talked(floor)
        row = await floor.until_status(call["id"], "dispositioned")
        stop.set()

    assert (row["disposition"], row["is_disposition_forced"]) == ("none", True)
    assert row["wrap_ended_at"] == row["wrap_until"]
    assert await floor.agent_state() == "available"


async def test_what_was_said_is_sealed_and_played_once(floor: Floor, folder: Path):
    call, manager = await talked(floor), floor.tenant.sales_manager
    async with asyncio.timeout(60):
        while not (folder / f"{call['id']}.wav").exists():
            await asyncio.sleep(0.05)

    done = await spool.sweep(floor.tenant.system, folder, now=clock.utc_now() + timedelta(seconds=10))
    [recording] = await floor.rows("select id from crm.recording where call_id = $1::uuid", call["id"])
    token, _ = await db.run(
        manager,
        lambda tx: operations.link(tx, call["id"], recording["id"], reason="quality", now=clock.utc_now()),
    )
    _, link_id = links.read(token)
    opened = await db.run(
        manager, lambda tx: operations.use(tx, link_id, recording["id"], now=clock.utc_now())
    )  # fmt: skip

    assert (done.stored, list(folder.iterdir())) == (1, [])
    assert b"".join([piece async for piece in await operations.content(opened)]) == tone()
