"""The records of a real Asterisk with our `cdr.conf` and its log of queues, read as after an outage."""

import asyncio

import pytest

from crm.calls import visits
from crm.calls.facts import Dialled
from crm.calls.story import Direction
from crm.calls.visits import VisitEnd
from dialer import queue_log, records
from dialer.exchange.people import Answer, Party
from tests.dialer.asterisk.lab import Lab
from tests.dialer.asterisk.stage import play
from tests.dialer.scenes import Scene


@pytest.mark.parametrize(
    ("name", "customer", "dialled"),
    [("answered", Party(rings_s=0.5, stays_s=2), Dialled.answer), ("busy", Party(Answer.busy), Dialled.busy)],
)
async def test_tell_how_a_call_ended(lab: Lab, name: str, customer: Party, dialled: Dialled):
    scene = Scene(name, f"record-{name}", Direction.customer_first, customer, (Party(rings_s=0.2, stays_s=60),))

    await play(lab, scene)
    await asyncio.sleep(1)
    found = records.of(lab.folder / "log" / "cdr-csv" / "Master.csv", {scene.call_id})

    assert dialled in [fact.dialled for fact in found]
    assert all(0 <= fact.billable_s <= fact.duration_s < 30 for fact in found)


async def test_tell_who_spoke_with_a_caller(lab: Lab):
    scene = Scene("served", "log-served", Direction.customer_first, Party(rings_s=0.5, stays_s=3),
                  (Party(rings_s=0.2, stays_s=60),))  # fmt: skip

    await play(lab, scene)
    await asyncio.sleep(1)
    facts = queue_log.of(lab.folder / "log" / "queue_log", {scene.call_id: set()})

    [stay] = visits.of(sorted(facts, key=lambda fact: fact.at))
    assert (stay.end, stay.queue) == (VisitEnd.connected, "sales")
    assert str(stay.interface).startswith("PJSIP/")
    assert stay.talk_s is not None
