"""Events as they happen, over a real server and a real WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from api import realtime, sockets
from crm import clock, db, events, ids
from crm.actor import Actor
from crm.leads import intake, operations
from crm.users import availability, tokens
from crm.users import operations as users
from tests.api.conftest import Client, SignIn, token_of
from tests.conftest import Tenant


@asynccontextmanager
async def listening(live: str, actor: Actor, cursor: str | None = None) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket, say hello, and hear `ready`."""
    async with connect(f"ws://{live}/realtime") as socket:
        await socket.send(json.dumps({"type": "hello", "token": token_of(actor), "cursor": cursor}))
        ready = await hear(socket)
        assert (ready["type"], ready["seq"]) == ("ready", 1)
        yield socket


async def hear(socket: ClientConnection) -> dict[str, Any]:
    """Return the next frame."""
    async with asyncio.timeout(60):
        return json.loads(await socket.recv())


async def hear_events(socket: ClientConnection, *, until: str) -> list[dict[str, Any]]:
    """Return all events up to and with the first of a type."""
    heard: list[dict[str, Any]] = []
    while until not in [event["type"] for event in heard]:
        heard += (await hear(socket))["events"]
    return heard


async def hear_until_closed(socket: ClientConnection) -> None:
    """Listen until the server ends it, and raise ConnectionClosed then."""
    while True:
        await hear(socket)


async def new_lead(tenant: Tenant, external_id: str) -> UUID:
    """Store a lead."""
    lead = intake.NewLead(name="Ada", email=f"{external_id}@mail.example", source="test", external_id=external_id)
    stored = await db.run(tenant.system, lambda tx: intake.create(tx, lead, now=clock.utc_now()))
    return stored.lead_id


async def give(tenant: Tenant, lead_id: UUID, to: Actor) -> None:
    """Give a lead to a person."""
    given = [operations.Assignment(lead_id, to.user_id, "manual")]
    await db.run(tenant.admin, lambda tx: operations.assign_many(tx, given, now=clock.utc_now()))


async def set_accepting(tenant: Tenant, accepting: bool) -> None:
    """Let the agent say whether they take leads."""
    await db.run(
        tenant.sales_agent, lambda tx: availability.set_availability(tx, accepting=accepting, now=clock.utc_now())
    )  # fmt: skip


def types_of(frame: dict[str, Any]) -> list[str]:
    """Return the types of a frame's events."""
    return [event["type"] for event in frame["events"]]


class TestListen:
    async def test_tells_what_happens_within_a_second_in_numbered_frames(self, tenant: Tenant, live: str) -> None:
        async with listening(live, tenant.admin) as socket:
            started = asyncio.get_running_loop().time()
            lead_id = await new_lead(tenant, "1")
            first = await hear(socket)
            took = asyncio.get_running_loop().time() - started
            await set_accepting(tenant, False)
            second = await hear(socket)

        assert (types_of(first), types_of(second)) == (["lead.created"], ["agent.availability_changed"])
        assert first["events"][0]["aggregate_id"] == str(lead_id)
        assert [first["seq"], second["seq"]] == [2, 3]
        assert took < 1

    async def test_shows_an_agent_their_own_leads_only(self, tenant: Tenant, live: str) -> None:
        async with listening(live, tenant.sales_agent) as socket:
            theirs = await new_lead(tenant, "1")
            await new_lead(tenant, "2")
            await give(tenant, theirs, tenant.sales_agent)
            heard = await hear_events(socket, until="lead.assigned")

        assert {event["aggregate_id"] for event in heard} == {str(theirs)}

    async def test_tells_an_agent_of_their_own_calls_at_once(self, tenant: Tenant, live: str) -> None:
        async with listening(live, tenant.sales_agent) as socket:
            call_id = ids.new()
            started = asyncio.get_running_loop().time()
            for which, agent in ((ids.new(), tenant.sales_manager), (call_id, tenant.sales_agent)):
                told = {"agent_user_id": agent.user_id, "direction": "inbound"}
                await db.run(
                    tenant.system,
                    lambda tx, which=which, told=told: events.record(
                        tx, "call", which, "call.agent_ringing", told, at=clock.utc_now()
                    ),
                )
            frame = await hear(socket)
            took = asyncio.get_running_loop().time() - started

        assert [event["aggregate_id"] for event in frame["events"]] == [str(call_id)]
        assert took < 1

    async def test_shows_nothing_of_another_firm(self, tenant: Tenant, other_tenant: Tenant, live: str) -> None:
        async with listening(live, tenant.admin) as socket:
            await new_lead(other_tenant, "1")
            await set_accepting(tenant, False)
            frame = await hear(socket)

        assert types_of(frame) == ["agent.availability_changed"]

    async def test_tells_what_was_missed_since_a_cursor(self, tenant: Tenant, live: str) -> None:
        async with listening(live, tenant.admin) as socket:
            await new_lead(tenant, "1")
            cursor = (await hear(socket))["cursor"]
        missed = [await new_lead(tenant, str(number)) for number in range(2, 5)]

        async with listening(live, tenant.admin, cursor) as socket:
            frame = await hear(socket)

        assert [event["aggregate_id"] for event in frame["events"]] == [str(each) for each in missed]

    async def test_loses_and_doubles_nothing_while_clients_come_and_go(self, tenant: Tenant, live: str) -> None:
        """Writers commit early and late; a client that reconnects every few frames still hears each event once."""
        wanted = 60

        async def write(number: int) -> None:
            async with db.transaction(tenant.system) as tx:
                lead = intake.NewLead(email=f"{number}@mail.example", source="test", external_id=str(number))
                await intake.create(tx, lead, now=clock.utc_now())
                await asyncio.sleep(0.2 if number % 3 == 0 else 0)

        async def write_all() -> None:
            for start in range(0, wanted, 6):
                await asyncio.gather(*(write(number) for number in range(start, start + 6)))

        heard: list[int] = []
        async with listening(live, tenant.admin) as socket:
            await new_lead(tenant, "first")
            cursor = (await hear(socket))["cursor"]
        writing = asyncio.create_task(write_all())
        while len(heard) < wanted:
            async with listening(live, tenant.admin, cursor) as socket:
                for _ in range(2):
                    frame = await hear(socket)
                    heard += [event["id"] for event in frame["events"]]
                    cursor = frame["cursor"]
                    if len(heard) >= wanted:
                        break
        await writing

        assert len(heard) == len(set(heard)) == wanted

    async def test_tells_a_client_that_is_too_far_behind_to_start_again(
        self, tenant: Tenant, live: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(realtime, "HELD_AT_MOST", 2)
        async with listening(live, tenant.admin) as socket:
            cursor = None
            for number in range(4):
                await new_lead(tenant, str(number))
                cursor = cursor or (await hear(socket))["cursor"]
        async with listening(live, tenant.admin, cursor) as socket:
            frame = await hear(socket)
            await set_accepting(tenant, False)
            following = await hear(socket)

        assert (frame["type"], frame["events"]) == ("reset", [])
        assert types_of(following) == ["agent.availability_changed"]

    async def test_beats_and_its_beat_resumes(self, tenant: Tenant, live: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sockets, "HEARTBEAT", 0.2)
        async with listening(live, tenant.admin) as socket:
            beat = await hear(socket)
        await set_accepting(tenant, False)

        async with listening(live, tenant.admin, beat["cursor"]) as socket:
            frame = await hear(socket)

        assert (beat["type"], types_of(frame)) == ("heartbeat", ["agent.availability_changed"])

    @pytest.mark.parametrize(
        ("hello", "code", "why"),
        [
            ("not json", 4400, "realtime.not_understood"),
            ('{"type": "hello", "token": "x"}', 4401, "token.invalid"),
            ('{"type": "hello", "token": "analyst"}', 4403, "forbidden"),
            ('{"type": "hello", "token": "admin", "cursor": "AAAA"}', 4400, "cursor.invalid"),
        ],
    )
    async def test_says_why_it_refuses_in_the_one_shape(
        self, tenant: Tenant, live: str, hello: str, code: int, why: str
    ) -> None:
        for role in ("analyst", "admin"):
            hello = hello.replace(f'"{role}"', f'"{token_of(tenant.actors[role])}"')

        async with connect(f"ws://{live}/realtime") as socket:
            await socket.send(hello)
            problem = await hear(socket)
            with pytest.raises(ConnectionClosed):
                await socket.recv()

        assert (socket.close_code, problem["code"]) == (code, why)
        assert set(problem) == {"code", "message", "trace_id", "field_errors", "retryable"}

    async def test_ends_when_the_account_is_closed(self, tenant: Tenant, live: str) -> None:
        async with listening(live, tenant.sales_agent) as socket:
            change = users.Change(is_active=False)
            await db.run(
                tenant.admin, lambda tx: users.update(tx, tenant.sales_agent.user_id, change, now=clock.utc_now())
            )
            with pytest.raises(ConnectionClosed):
                await hear_until_closed(socket)

        assert socket.close_code == 4401

    async def test_ends_when_the_token_does_unless_a_fresh_one_came(self, tenant: Tenant, live: str) -> None:
        almost_over = clock.utc_now() - timedelta(minutes=15) + timedelta(seconds=2)
        person = tenant.admin
        token = tokens.issue(tenant=tenant.id, user=person.user_id, team=None, roles=["admin"], now=almost_over)

        async with connect(f"ws://{live}/realtime") as ends, connect(f"ws://{live}/realtime") as stays:
            for socket in (ends, stays):
                await socket.send(json.dumps({"type": "hello", "token": token}))
                await hear(socket)
            await stays.send(json.dumps({"type": "hello", "token": token_of(person)}))
            with pytest.raises(ConnectionClosed):
                await hear_until_closed(ends)
            await new_lead(tenant, "1")
            heard = await hear_events(stays, until="lead.created")

        assert (ends.close_code, len(heard)) == (4401, 1)


class TestPoll:
    async def test_tells_the_same_as_the_websocket(self, tenant: Tenant, live: str) -> None:
        async with Client(
            base_url=f"http://{live}", headers={"Authorization": f"Bearer {token_of(tenant.admin)}"}
        ) as http:
            start = (await http.get("/realtime/poll")).json()
            async with listening(live, tenant.admin) as socket:
                await new_lead(tenant, "1")
                pushed = await hear(socket)
            polled = (await http.get("/realtime/poll", params={"cursor": start["cursor"]})).json()
            after = (await http.get("/realtime/poll", params={"cursor": polled["cursor"]})).json()

        assert start["events"] == after["events"] == []
        assert polled["events"] == pushed["events"]

    async def test_leaves_out_what_has_not_committed_and_tells_it_later(self, tenant: Tenant, admin: Client) -> None:
        cursor = (await admin.get("/realtime/poll")).json()["cursor"]
        async with db.transaction(tenant.system) as late:
            await intake.create(late, intake.NewLead(email="a@mail.example", source="test"), now=clock.utc_now())
            early = await new_lead(tenant, "1")
            first = (await admin.get("/realtime/poll", params={"cursor": cursor})).json()
        second = (await admin.get("/realtime/poll", params={"cursor": first["cursor"]})).json()

        assert [event["aggregate_id"] for event in first["events"]] == [str(early)]
        assert [event["type"] for event in second["events"]] == ["lead.created"]
        assert second["events"][0]["id"] < first["events"][0]["id"]

    async def test_shows_an_agent_no_lead_of_others(self, tenant: Tenant, agent: Client) -> None:
        cursor = (await agent.get("/realtime/poll")).json()["cursor"]
        await new_lead(tenant, "1")

        page = (await agent.get("/realtime/poll", params={"cursor": cursor})).json()

        assert page["events"] == []

    async def test_refuses_another_firms_cursor(self, tenant: Tenant, other_tenant: Tenant, sign_in: SignIn) -> None:
        cursor = (await sign_in(other_tenant.admin).get("/realtime/poll")).json()["cursor"]

        response = await sign_in(tenant.admin).get("/realtime/poll", params={"cursor": cursor})

        assert (response.status_code, response.json()["code"]) == (422, "cursor.invalid")
