"""A call's road, end to end, through real processes: click or caller, bridge, agent, hold, transfer, write-up, figures.

The exchange is the loopback one; its clock runs five times as fast.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import websockets

from crm import clock
from crm.queues.visits import AUDIBLE_S
from dialer.exchange.people import Party
from dialer.exchange.server import Exchange
from tests.api.conftest import token_of
from tests.conftest import Tenant
from tests.crm.agents.floor import hire
from tests.dialer.floor import PATIENT, SECRET, Floor, may_call_always
from tests.kill import firm
from tests.kill.test_dialer import dialers

pytestmark = pytest.mark.xdist_group("kill")

NUMBER = "+905321234567"
CUSTOMER = "PJSIP/905321234567@carrier"
CLEAR = "5321234567"


@pytest.fixture
async def exchange() -> AsyncIterator[tuple[Exchange, dict[str, Party]]]:
    """An exchange, and how its people behave."""
    people: dict[str, Party] = {}
    async with Exchange(
        username="bridge", secret=SECRET, people=lambda who: people.get(who, PATIENT), speed=5
    ) as served:
        yield served, people


async def test_from_a_click_and_a_caller_to_the_figures(tenant: Tenant, exchange) -> None:
    served, people = exchange
    await may_call_always(tenant, clock.utc_now())
    [other] = await hire(tenant, 1, clock.utc_now())
    floor = Floor(tenant, served, None, None, people)  # type: ignore[arg-type]
    lead = await floor.lead(NUMBER)
    with firm.processes() as processes, dialers(served, "acme") as those:
        those.start()
        await processes.ready()
        base = f"http://127.0.0.1:{processes.port}"
        heard: list[str] = []
        listening = asyncio.create_task(_listen(base, token_of(tenant.sales_agent), heard))
        async with _client(base, tenant.sales_agent) as agent, _client(base, other) as colleague:
            async with _client(base, tenant.admin) as admin:
                await _open_the_floor(admin, agent, colleague, tenant, other.user_id)
            clicked = await _click(agent, lead)
            called = await _take_a_call(agent, colleague, floor, other.user_id)
            everything = await _look_at_it(agent, lead, clicked)
        async with _client(base, tenant.admin) as admin:
            today = clock.utc_now().date()
            span = {"since": str(today - timedelta(days=1)), "until": str(today + timedelta(days=1))}
            figures = (await admin.get("/queue/statistics", params=span)).json()
            visits = (await admin.get("/queue/visits")).json()["items"]
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening

    assert CLEAR not in (everything + "".join(heard)).replace(" ", "")
    told = [event for message in heard for event in json.loads(message).get("events", [])]
    assert {"call.connected", "call.held", "call.resumed", "call.ended", "call.dispositioned"} <= {
        event["type"] for event in told
    }
    assert [(each["queue"], each["outcome"]) for each in visits if each["call_id"] == str(called)] == [
        ("sales", "answered")
    ]
    assert sum(row["offered"] for row in figures["items"]) == sum(row["answered"] for row in figures["items"]) == 1


async def _open_the_floor(
    admin: httpx.AsyncClient, agent: httpx.AsyncClient, colleague: httpx.AsyncClient, tenant: Tenant, other: UUID
) -> None:
    """Give two agents telephones, open a queue, and sign them on."""
    for user_id, endpoint in ((tenant.sales_agent.user_id, "PJSIP/agent-1"), (other, "PJSIP/agent-2")):
        answer = await admin.put(f"/pbx/agents/{user_id}/endpoint", json={"endpoint": endpoint})
        assert answer.status_code < 300, answer.text
    made = await admin.post(
        "/queue", json={"code": "sales", "settings": {"labels": {"tr": "Satış", "en": "Sales"}, "hours": "always"}}
    )
    assert made.status_code == 201, made.text
    assert (await agent.post("/pbx/agent/session")).status_code < 300


async def _until(client: httpx.AsyncClient, call_id: str, *statuses: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer = await client.get(f"/pbx/calls/{call_id}")
            if answer.status_code == 200 and answer.json()["status"] in statuses:
                return dict(answer.json())
            await asyncio.sleep(0.1)


async def _click(agent: httpx.AsyncClient, lead: UUID) -> str:
    """Call the lead, hold, talk on, hang up, and say what came of it."""
    made = await agent.post(f"/leads/{lead}/call", json={})
    assert (made.status_code, made.json()["status"]) == (201, "checked"), made.text
    call_id = str(made.json()["callId"])
    await _until(agent, call_id, "connected")
    await agent.post(f"/pbx/calls/{call_id}/hold")
    await _until(agent, call_id, "held")
    await agent.post(f"/pbx/calls/{call_id}/resume")
    await _until(agent, call_id, "connected")
    await agent.post(f"/pbx/calls/{call_id}/hang-up")
    await _until(agent, call_id, "wrap_up")
    said = await agent.put(f"/cdr/{call_id}/disposition", json={"code": "interested", "note": "Pazartesi tekrar"})
    assert (said.status_code, said.json()["lead_status"]) == (200, "interested"), said.text
    return call_id


async def _take_a_call(agent: httpx.AsyncClient, colleague: httpx.AsyncClient, floor: Floor, other: UUID) -> UUID:
    """Take a caller out of the queue and give them to a colleague."""
    async with asyncio.timeout(60):  # the queue's member is asked for when the agent is free again
        while not floor.exchange.board.queues.get("sales") or not floor.exchange.board.queues["sales"].members:
            await asyncio.sleep(0.1)
    floor.people[CUSTOMER] = Party(stays_s=60)
    call_id = floor.arrives(NUMBER, "sales")
    await _until(agent, str(call_id), "connected")
    assert (await colleague.post("/pbx/agent/session")).status_code < 300
    await asyncio.sleep(AUDIBLE_S + 0.2)  # a caller who heard an agent for less is none who was answered
    given = await agent.post(f"/pbx/calls/{call_id}/transfer", json={"agent_user_id": str(other)})
    assert given.status_code == 200, given.text
    ended = await _until(agent, str(call_id), "wrap_up", "dispositioned", "ended")
    assert ended["outcome"] == "answered"
    return call_id


async def _look_at_it(agent: httpx.AsyncClient, lead: UUID, call_id: str) -> str:
    """Return all that is shown of the call: its record, the lead's timeline, the list of calls."""
    record = await agent.get(f"/cdr/{call_id}")
    timeline = await agent.get(f"/leads/{lead}/timeline")
    listed = await agent.get("/cdr")
    assert record.json()["disposition"] == "interested"
    assert any(item["kind"] == "call" for item in timeline.json()["items"])
    assert call_id in listed.text
    return record.text + timeline.text + listed.text


def _client(base: str, actor) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token_of(actor)}"}, timeout=30)


async def _listen(base: str, token: str, heard: list[str]) -> None:
    async with websockets.connect(f"{base.replace('http', 'ws')}/realtime") as socket:
        await socket.send(json.dumps({"type": "hello", "token": token}))
        async for message in socket:
            heard.append(str(message))
