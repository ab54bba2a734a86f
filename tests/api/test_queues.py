"""Queues over HTTP and a WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crm import clock, db
from crm.actor import Actor
from crm.queues import visits
from crm.queues.visits import Stay
from tests.api.conftest import SignIn, token_of
from tests.conftest import Tenant
from tests.crm.queues.factory import LABELS, make_call


def settings(**changed: Any) -> dict[str, Any]:
    return {"labels": LABELS, "hours": "always", **changed}


async def make(client: Any, code: str = "sales", **changed: Any) -> dict[str, Any]:
    response = await client.post("/queue", json={"code": code, "settings": settings(**changed)})
    assert response.status_code == 201, response.text
    return response.json()


def soon(minutes: float = 30) -> str:
    return (clock.utc_now() + timedelta(minutes=minutes)).isoformat()


async def wait_in(tenant: Tenant, queue: str = "sales") -> UUID:
    """Let a caller wait in a queue from now on."""
    now = clock.utc_now()
    async with db.transaction(tenant.system) as tx:
        call_id = await make_call(tx, now=now)
        await visits.keep(tx, call_id, [Stay(1, queue, now)], now=now)
    return call_id


async def give_up(tenant: Tenant, call_id: UUID) -> None:
    now = clock.utc_now()
    async with db.transaction(tenant.system) as tx:
        stay = Stay(1, "sales", now, left_at=now, outcome="abandoned", ended_at=now)
        await visits.keep(tx, call_id, [stay], now=now)


class TestQueue:
    async def test_is_made_changed_and_retired(self, tenant: Tenant, sign_in: SignIn) -> None:
        client = sign_in(tenant.sales_manager)

        made = await make(client, sl_s=30)
        changed = await client.put(f"/queue/{made['id']}", json={"settings": settings(sl_s=15)})
        versions = (await client.get(f"/queue/{made['id']}/history")).json()["items"]
        gone = await client.delete(f"/queue/{made['id']}")
        listed = (await client.get("/queue")).json()["items"]
        all_of_them = (await client.get("/queue", params={"with_retired": True})).json()["items"]

        assert made["promised"] == {"sl_s": 30, "short_s": 5, "sl_target": 0.8}
        assert changed.json()["promised"]["sl_s"] == 15
        assert [each["settings"]["sl_s"] for each in versions] == [15, 30]
        assert (gone.status_code, listed, len(all_of_them)) == (204, [], 1)

    @pytest.mark.parametrize(
        ("changed", "status", "code"),
        [
            ({"code": "Satış"}, 422, "invalid"),
            ({"settings": settings(rings=[])}, 422, "invalid"),
            ({"settings": settings(team_id=str(uuid4()))}, 422, "queue.invalid"),
            ({"settings": settings(last_resort={"to": "queue", "queue": "nowhere"})}, 422, "queue.invalid"),
            ({"settings": {"labels": {"tr": "Satış"}}}, 422, "invalid"),
        ],
    )
    async def test_refuses_what_cannot_be_meant(
        self, tenant: Tenant, sign_in: SignIn, changed: dict[str, Any], status: int, code: str
    ) -> None:
        body = {"code": "sales", "settings": settings(), **changed}

        response = await sign_in(tenant.admin).post("/queue", json=body)

        assert (response.status_code, response.json()["code"]) == (status, code)

    async def test_is_looked_at_by_agents_and_changed_by_managers(self, tenant: Tenant, sign_in: SignIn) -> None:
        made = await make(sign_in(tenant.sales_manager))
        agent = sign_in(tenant.sales_agent)

        assert (await agent.get(f"/queue/{made['id']}")).status_code == 200
        assert (await agent.put(f"/queue/{made['id']}", json={"settings": settings()})).status_code == 403
        assert (await agent.get("/queue/visits")).status_code == 403


class TestExchangeFiles:
    async def test_name_every_queue_in_use(self, tenant: Tenant, sign_in: SignIn) -> None:
        client = sign_in(tenant.sales_manager)
        await make(client)

        found = (await client.get("/queue/exchange-files")).json()

        assert "[sales](queue)" in found["queues_conf"]
        assert "exten => sales,1," in found["extensions_conf"]


class TestActions:
    async def test_are_begun_shown_and_ended(self, tenant: Tenant, sign_in: SignIn) -> None:
        client = sign_in(tenant.sales_manager)
        queue = await make(client)
        await make(client, "spare")
        call_id = await wait_in(tenant)
        how = {"reason": "rush.hour", "until": soon()}

        begun = [
            await client.post(f"/queue/{queue['id']}/pause", json=how),
            await client.post(f"/queue/{queue['id']}/overflow", json={**how, "way": {"to": "queue", "queue": "spare"}}),
            await client.post(f"/queue/callers/{call_id}/priority", json={**how, "priority": 3}),
            await client.post(f"/queue/callers/{call_id}/move", json={**how, "to_queue": "spare"}),
        ]
        ended = await client.post(f"/queue/actions/{begun[0].json()['id']}/end")
        again = await client.post(f"/queue/actions/{begun[0].json()['id']}/end")
        listed = (await client.get(f"/queue/{queue['id']}/actions")).json()["items"]

        assert [each.status_code for each in begun] == [201] * 4
        assert (ended.json()["end_reason"], again.status_code) == ("ended", 404)
        assert {each["kind"] for each in listed} == {"pause", "overflow", "priority", "move"}

    async def test_are_done_once_however_often_they_are_sent(self, tenant: Tenant, sign_in: SignIn) -> None:
        client = sign_in(tenant.sales_manager)
        queue = await make(client)
        body, key = {"reason": "drill", "until": soon()}, {"Idempotency-Key": "once"}

        first, second = [await client.post(f"/queue/{queue['id']}/pause", json=body, headers=key) for _ in range(2)]
        third = await client.post(f"/queue/{queue['id']}/pause", json=body)

        assert first.json() == second.json()
        assert (third.status_code, third.json()["code"]) == (409, "queue.action_open")

    async def test_need_an_end_within_a_day_and_somebody_who_waits(self, tenant: Tenant, sign_in: SignIn) -> None:
        client = sign_in(tenant.sales_manager)
        queue = await make(client)

        late = await client.post(f"/queue/{queue['id']}/pause", json={"reason": "drill", "until": soon(60 * 25)})
        nobody = await client.post(
            f"/queue/callers/{uuid4()}/priority", json={"reason": "vip", "until": soon(), "priority": 1}
        )

        assert (late.status_code, late.json()["code"]) == (422, "queue.action_until")
        assert (nobody.status_code, nobody.json()["code"]) == (404, "queue.caller_not_found")


class TestFigures:
    async def test_are_counted_by_day_and_queue(self, tenant: Tenant, sign_in: SignIn) -> None:
        client = sign_in(tenant.sales_manager)
        await make(client)
        await give_up(tenant, await wait_in(tenant))
        await wait_in(tenant)
        day = (clock.utc_now() + timedelta(hours=3)).date()
        span = {"since": str(day - timedelta(days=1)), "until": str(day)}

        [found] = (await client.get("/queue/statistics", params=span)).json()["items"]
        [whole] = (await client.get("/queue/statistics", params={**span, "by": "queue"})).json()["items"]
        [all_of_it] = (await client.get("/queue/statistics", params={**span, "by": "all"})).json()["items"]
        wrong = await client.get("/queue/statistics", params={"since": str(day), "until": "2020-01-01"})

        assert (found["queue"], found["offered"], found["abandoned"], found["short_abandons"]) == ("sales", 2, 1, 1)
        assert (found["service_level"], found["abandonment_rate"]) == (None, 0.0)
        assert (whole["day"], whole["queue"]) == (None, "sales")
        assert (all_of_it["day"], all_of_it["queue"], all_of_it["offered"]) == (None, None, 2)
        assert wrong.json()["code"] == "queue.span"

    async def test_stays_are_listed_page_by_page(self, tenant: Tenant, sign_in: SignIn) -> None:
        client = sign_in(tenant.sales_manager)
        await make(client)
        calls = [await wait_in(tenant) for _ in range(3)]
        await give_up(tenant, calls[0])

        first = (await client.get("/queue/visits", params={"limit": 2})).json()
        rest = (await client.get("/queue/visits", params={"limit": 2, "cursor": first["next_cursor"]})).json()
        gone = (await client.get("/queue/visits", params={"outcome": "abandoned", "queue": "sales"})).json()["items"]

        assert [each["call_id"] for each in first["items"] + rest["items"]] == [str(each) for each in reversed(calls)]
        assert rest["next_cursor"] is None
        assert [each["call_id"] for each in gone] == [str(calls[0])]


@asynccontextmanager
async def watching(live: str, actor: Actor) -> AsyncIterator[tuple[ClientConnection, dict[str, Any]]]:
    """Open a WebSocket on the board and hear how it stands."""
    async with connect(f"ws://{live}/queue/board/ws") as socket:
        await socket.send(json.dumps({"type": "hello", "token": token_of(actor)}))
        yield socket, await hear(socket)


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(60):
        return json.loads(await socket.recv())


async def hear_until_closed(socket: ClientConnection) -> None:
    while True:
        await hear(socket)


class TestBoard:
    async def test_shows_the_same_to_who_polls_and_who_watches(
        self, tenant: Tenant, sign_in: SignIn, live: str
    ) -> None:
        client = sign_in(tenant.sales_manager)
        await make(client)
        await wait_in(tenant)

        polled = (await client.get("/queue/board")).json()
        async with watching(live, tenant.sales_agent) as (_, ready):
            pass

        def steady(line: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in line.items() if name != "longest_wait_s"}

        assert ready["type"] == "ready"
        assert [steady(each) for each in ready["queues"]] == [steady(each) for each in polled["queues"]]

    async def test_tells_within_a_second_or_so_and_counts_without_a_gap(
        self, tenant: Tenant, sign_in: SignIn, live: str
    ) -> None:
        await make(sign_in(tenant.sales_manager))
        async with watching(live, tenant.sales_agent) as (socket, ready):
            call_id = await wait_in(tenant)
            came = await hear(socket)
            await give_up(tenant, call_id)
            seen = [came]
            while seen[-1]["queues"][0]["depth"]:
                seen.append(await hear(socket))

        assert (ready["queues"][0]["depth"], came["queues"][0]["depth"]) == (0, 1)
        assert [each["seq"] for each in (ready, *seen)] == list(range(ready["seq"], ready["seq"] + len(seen) + 1))

    async def test_is_of_ones_own_firm(self, tenant: Tenant, other_tenant: Tenant, sign_in: SignIn, live: str) -> None:
        await make(sign_in(tenant.sales_manager))
        async with watching(live, tenant.sales_agent) as (_, mine), watching(live, other_tenant.sales_agent) as (_, no):
            pass

        assert (len(mine["queues"]), no["queues"]) == (1, [])

    async def test_needs_a_token_that_may(self, tenant: Tenant, live: str) -> None:
        async with connect(f"ws://{live}/queue/board/ws") as socket:
            await socket.send(json.dumps({"type": "hello", "token": token_of(tenant.analyst)}))
            problem = await hear(socket)
            with pytest.raises(ConnectionClosed) as closed:
                await hear(socket)

        assert problem["code"] == "forbidden"
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403

    async def test_ends_with_the_session(
        self, tenant: Tenant, sign_in: SignIn, live: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def ended(*_: object) -> bool:
            return True

        await make(sign_in(tenant.sales_manager))
        async with watching(live, tenant.sales_agent) as (socket, _):
            monkeypatch.setattr("api.sockets.has_ended", ended)
            await wait_in(tenant)
            with pytest.raises(ConnectionClosed) as closed:
                await hear_until_closed(socket)

        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
