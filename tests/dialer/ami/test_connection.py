"""The fence around panoramisk: each of its defects, met by a server that provokes it."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from dialer.ami.connection import Address, Connection, Limits, Lost, Refused, Up
from dialer.ami.line import Down, Unanswered
from dialer.ami.messages import LONGEST_LINE, Message, Unspeakable, heard
from tests.dialer.ami.server import Server, serving

QUICK = Limits(connect=2, answer=0.3, probe_every=0.1, retry_first=0.05, retry_most=0.2, heard_most=50, heard_again=10)


class Ear:
    """What a connection heard."""

    def __init__(self, connection: Connection) -> None:
        self.items: list[object] = []
        self.connection = connection

    async def listen(self) -> None:
        async for item in self.connection.heard():
            self.items.append(item)

    def events(self, name: str) -> list[Message]:
        return [item for item in self.items if isinstance(item, Message) and item.event == name]

    async def until(self, question) -> None:
        async with asyncio.timeout(60):
            while not question():
                await asyncio.sleep(0.005)

    async def ups(self, how_many: int) -> None:
        await self.until(lambda: sum(isinstance(item, Up) for item in self.items) >= how_many)


@asynccontextmanager
async def connected(server: Server, *, limits: Limits = QUICK, ups: int = 1):
    """Serve, connect and listen."""
    async with serving(server):
        stop = asyncio.Event()
        connection = Connection(Address("127.0.0.1", server.port, "bridge", SecretStr("lab")), limits=limits)
        ear = Ear(connection)
        tasks = [asyncio.create_task(connection.run(stop)), asyncio.create_task(ear.listen())]
        try:
            await ear.ups(ups)
            yield connection, ear
        finally:
            stop.set()
            tasks[1].cancel()
            await asyncio.wait(tasks, timeout=5)
        assert tasks[0].done()
        await tasks[0]


def queued(server: Server, said: dict[str, str]) -> None:
    server.answer(said, "Message: Originate successfully queued")


class TestSay:
    async def test_returns_the_answer(self):
        server = Server(lambda server, said: server.answer(said, "Message: Channel Hungup"))

        async with connected(server) as (connection, _):
            answer = await connection.say("Hangup", {"Channel": "call-1", "Cause": 16})

        assert answer["message"] == "Channel Hungup"
        [said] = server.said("Hangup")
        assert said == {"Action": "Hangup", "ActionID": answer["actionid"], "Channel": "call-1", "Cause": "16"}

    async def test_tells_a_refusal_in_the_server_s_words(self):
        server = Server(lambda server, said: server.answer(said, "Message: No such channel", response="Error"))

        async with connected(server) as (connection, _):
            with pytest.raises(Refused, match="No such channel"):
                await connection.say("Hangup", {"Channel": "call-1"})

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("QueueAdd", "Added interface to queue"),
            ("Atxfer", "Atxfer successfully queued"),
            ("Originate", "Originate successfully queued"),
        ],
    )
    async def test_waits_for_one_answer_alone(self, name, message):
        """QueueAdd waits for ever, Atxfer and an Originate without Async cut the connection, left to themselves."""
        server = Server(lambda server, said: server.answer(said, f"Message: {message}"))

        async with connected(server) as (connection, ear):
            await connection.say(name, {"Channel": "call-1"})
            server.tell("Event: Newchannel", "Uniqueid: call-1")
            await ear.until(lambda: ear.events("Newchannel"))

        assert server.connections == 1

    async def test_leaves_the_originate_response_to_the_listener_even_when_it_comes_first(self):
        def early(server, said):
            server.tell("Event: OriginateResponse", f"ActionID: {said['ActionID']}", "Response: Success", "Reason: 4")
            queued(server, said)

        async with connected(Server(early)) as (connection, ear):
            answer = await connection.say("Originate", {"Async": "true"}, action_id="call-1")
            await ear.until(lambda: ear.events("OriginateResponse"))

        assert answer["message"] == "Originate successfully queued"
        assert ear.events("OriginateResponse")[0]["actionid"] == "call-1"

    async def test_gives_up_after_its_time_and_discards_the_late_answer(self):
        held = []
        server = Server(lambda server, said: held.append(said))

        async with connected(server) as (connection, ear):
            with pytest.raises(Unanswered):
                await connection.say("Originate", {"Channel": "x"}, within=0.05)
            queued(server, held[0])
            server.tell("Event: Newchannel", "Uniqueid: call-1")
            await ear.until(lambda: ear.events("Newchannel"))

        assert server.connections == 1

    async def test_refuses_while_down(self):
        connection = Connection(Address("127.0.0.1", 1, "bridge", SecretStr("lab")))

        with pytest.raises(Down):
            await connection.say("Originate", {"Channel": "x"})

    @pytest.mark.parametrize("sign", ["\r", "\n", "\0", "\r\n\r\nAction: Command\r\nCommand: core stop now"])
    async def test_sends_nothing_that_would_begin_another_command(self, sign):
        server = Server(queued)

        async with connected(server) as (connection, _):
            with pytest.raises(Unspeakable, match="CallerID"):
                await connection.say("Originate", {"CallerID": f"Ayşe{sign} <5>"})
            with pytest.raises(Unspeakable):
                await connection.say("Originate", {f"CallerID{sign}": "x"})
            with pytest.raises(Unspeakable):
                await connection.say("Originate", {}, variables={"__CALL": f"x{sign}"})
            with pytest.raises(Unspeakable):
                await connection.say(f"Originate{sign}")

        assert {each["Action"] for each in server.heard} <= {"Login", "Ping"}

    async def test_refuses_what_a_line_cannot_hold(self):
        async with connected(Server(queued)) as (connection, _):
            with pytest.raises(Unspeakable, match="longer"):
                await connection.say("Originate", {"CallerID": "ş" * (LONGEST_LINE // 2)})
            with pytest.raises(Unspeakable, match="comma"):
                await connection.say("Originate", {}, variables={"__NAME": "Yılmaz, Ayşe"})
            with pytest.raises(Unspeakable, match="at most"):
                await connection.say("Originate", {}, variables={f"V{n}": n for n in range(101)})

    async def test_says_each_variable_on_a_line_of_its_own(self):
        wire = []
        server = Server(queued)
        server.react, react = lambda said: (wire.append(said), react(said))[1], server.react

        async with connected(server) as (connection, _):
            await connection.say("Originate", {"Async": "true"}, variables={"__CALL": "c1", "__LEAD": "l1"})

        assert wire[-1]["Variable"] in ("__CALL=c1", "__LEAD=l1")


class TestAsk:
    async def test_returns_the_rows(self):
        def status(server, said):
            server.answer(said, "EventList: start", "Message: Queue status will follow")
            for queue in ("sales", "support"):
                server.tell("Event: QueueParams", f"ActionID: {said['ActionID']}", f"Queue: {queue}")
            server.tell("Event: QueueStatusComplete", f"ActionID: {said['ActionID']}", "EventList: Complete")

        async with connected(Server(status)) as (connection, ear):
            rows = await connection.ask("QueueStatus")

        assert [(row.event, row["queue"]) for row in rows] == [("QueueParams", "sales"), ("QueueParams", "support")]
        assert ear.events("QueueParams") == []

    async def test_tells_a_refusal(self):
        server = Server(lambda server, said: server.answer(said, "Message: Permission denied", response="Error"))

        async with connected(server) as (connection, _):
            with pytest.raises(Refused, match="Permission denied"):
                await connection.ask("CoreShowChannels")


class TestReconnect:
    async def test_never_sends_again_what_was_not_answered(self):
        """Left to itself the library dials the number twice."""
        server = Server(lambda server, said: server.cut())

        async with connected(server) as (connection, ear):
            with pytest.raises(Unanswered):
                await connection.say("Originate", {"Channel": "x"}, within=2)
            await ear.ups(2)
            server.tell("Event: FullyBooted", "Status: Fully Booted")
            await ear.until(lambda: ear.events("FullyBooted"))

        assert len(server.said("Originate")) == 1
        assert server.connections >= 2

    async def test_tells_when_it_came_and_went(self):
        async with connected(Server()) as (_, ear):
            ear.connection._line.protocol.transport.abort()
            await ear.ups(2)

        assert [type(item) for item in ear.items if not isinstance(item, Message)][:3] == [Up, Lost, Up]

    async def test_waits_longer_each_time_while_the_login_is_refused(self):
        server = Server(login="Error")
        limits = Limits(answer=0.3, retry_first=0.05, retry_most=60)
        async with serving(server):
            stop = asyncio.Event()
            connection = Connection(Address("127.0.0.1", server.port, "bridge", SecretStr("no")), limits=limits)
            running = asyncio.create_task(connection.run(stop))
            await asyncio.sleep(0.7)
            trouble, attempts = connection.trouble, server.connections
            stop.set()
            await running

        assert trouble == "ami.login_refused"
        assert 2 <= attempts <= 5

    async def test_ends_what_gives_no_sign_of_life(self):
        server = Server(answers_pings=False)

        async with connected(server) as (_, ear):
            await ear.ups(2)

        assert Lost("ami.unanswered") in ear.items

    async def test_goes_on_after_a_shutdown_of_the_server(self):
        server = Server()

        async with connected(server) as (_, ear):
            server.tell("Event: Shutdown", "Shutdown: Cleanly", "Restart: False")
            await ear.ups(2)

        assert Lost("ami.lost") in ear.items


class TestHeard:
    @pytest.mark.parametrize(
        "nonsense",
        [
            b"Event: UserEvent\r\nEvent: Originate\r\nUniqueid: x\r\n\r\n",
            b"Event: \r\n\r\n",
            b"\r\n\r\n\r\n",
            b"ActionID: a\r\nActionID: b\r\nEvent: X\r\nEvent: Y\r\n\r\n",
            b"Response: Success\r\nActionID: nobody\r\n\r\n",
            b"\xff\xfe\x00: \x01\r\n\r\n",
        ],
    )
    async def test_survives_what_it_cannot_read(self, nonsense):
        server = Server()

        async with connected(server) as (_, ear):
            server.write(nonsense + b"Event: Newchannel\r\nUniqueid: call-1\r\n\r\n")
            await ear.until(lambda: ear.events("Newchannel"))

        assert server.connections == 1
        assert not ear.events("UserEvent")

    async def test_leaves_out_a_header_that_came_twice(self):
        server = Server()

        async with connected(server) as (_, ear):
            server.tell("Event: UserEvent", "UserEvent: Note", "Uniqueid: call-1", "Uniqueid: call-2", "Cause: 5")
            await ear.until(lambda: ear.events("UserEvent"))

        [event] = ear.events("UserEvent")
        assert (event["uniqueid"], event["cause"], event["absent"]) == ("", "5", "")

    async def test_keeps_characters_cut_by_a_segment(self):
        server = Server()
        wire = "Event: Newchannel\r\nCallerIDName: Nguyễn Müller Çağrı\r\n\r\n".encode()

        async with connected(server) as (_, ear):
            for byte in wire:
                server.write(bytes([byte]))
                await asyncio.sleep(0)
            await ear.until(lambda: ear.events("Newchannel"))

        assert ear.events("Newchannel")[0]["calleridname"] == "Nguyễn Müller Çağrı"

    async def test_reads_the_variables_of_both_legs(self):
        server = Server()

        async with connected(server) as (_, ear):
            server.tell(
                "Event: DialBegin", "ChanVariable: CALL=c1", "ChanVariable: AMDSTATUS=", "DestChanVariable: CALL=c2"
            )
            server.tell("Event: OriginateResponse", "ChanVariable(PJSIP/carrier-1): CALL=c3", "Reason: 4")
            await ear.until(lambda: ear.events("OriginateResponse"))

        [begun], [answered] = ear.events("DialBegin"), ear.events("OriginateResponse")
        assert begun.variables == {"CALL": "c1", "AMDSTATUS": ""}
        assert begun.dest_variables == {"CALL": "c2"}
        assert answered.variables == {"CALL": "c3"}

    async def test_reads_no_faster_than_it_is_listened_to(self):
        """A listener that falls behind keeps the server waiting, not our memory growing; nothing is lost."""
        server = Server()
        most = 20_000
        async with serving(server):
            stop = asyncio.Event()
            limits = Limits(answer=1, probe_every=0.1, heard_most=50, heard_again=10)
            connection = Connection(Address("127.0.0.1", server.port, "b", SecretStr("s")), limits=limits)
            running = asyncio.create_task(connection.run(stop))
            listening = connection.heard()
            assert isinstance(await anext(listening), Up)
            padding = "x" * 500
            for n in range(most):
                server.tell("Event: Newstate", f"Uniqueid: {n}", f"Padding: {padding}")
            await asyncio.sleep(0.5)
            waiting = connection._heard.qsize()
            seen = [(await anext(listening))["uniqueid"] for _ in range(most)]
            stop.set()
            await running

        assert waiting < most // 4
        assert seen == [str(n) for n in range(most)]
        assert server.connections == 1

    async def test_ends_what_never_ends(self):
        server = Server()

        async with connected(server) as (_, ear):
            server.write(b"Event: X\r\nPadding: " + b"x" * (2 << 20))
            await ear.ups(2)


VALUES = st.text(max_size=30) | st.lists(st.text(max_size=8), max_size=3)


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["Event", "Response", "Timestamp"]), VALUES, max_size=8))
def test_any_headers_are_a_message_or_none(headers):
    message = heard(headers)

    assert message is None or all(isinstance(value, str) for value in message.fields.values())
    assert message is None or message.at is None or message.at.tzinfo is not None
