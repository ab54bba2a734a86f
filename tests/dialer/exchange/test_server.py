"""The loopback exchange as a server: what it may be told to do to a client, and what it leaves behind."""

import asyncio
import io
import wave

from pydantic import SecretStr

from crm.calls.facts import Dialled
from crm.calls.story import Direction, Outcome, tell
from dialer import records
from dialer.ami.connection import Address, Connection, Limits, Lost, Up
from dialer.ami.messages import Message
from dialer.exchange.callers import Traffic
from dialer.exchange.lies import Liar, Lies
from dialer.exchange.people import Party
from dialer.exchange.server import Exchange
from tests.dialer.ami.test_translate import facts_of, of_call

SECRET = SecretStr("lab")
STAYS = Party(rings_s=1, stays_s=600, patience_s=600)
EVENT = [("Event", "Hangup"), ("Uniqueid", "call-1"), ("Linkedid", "call-1"), ("Cause", "16")]


class Client:
    """A connection to an exchange, and what it heard."""

    def __init__(self, exchange: Exchange) -> None:
        limits = Limits(probe_every=60, retry_first=0.02, retry_most=0.1)
        self.connection = Connection(Address("127.0.0.1", exchange.port, "bridge", SECRET), limits=limits)
        self.heard: list[object] = []
        self.stop = asyncio.Event()

    async def __aenter__(self) -> "Client":
        self.works = [asyncio.create_task(self.connection.run(self.stop)), asyncio.create_task(self._listen())]
        await self.until(lambda: self.heard)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await self.works[0]
        self.works[1].cancel()

    async def _listen(self) -> None:
        async for item in self.connection.heard():
            self.heard.append(item)

    async def until(self, question) -> None:
        async with asyncio.timeout(60):
            while not question():
                await asyncio.sleep(0.005)

    def messages(self, name: str = "") -> list[Message]:
        return [item for item in self.heard if isinstance(item, Message) and name in ("", item.event)]

    async def click(self, **variables: str) -> None:
        fields = {"Channel": "PJSIP/agent-1", "ChannelId": "call-1", "Context": "outbound", "Exten": "5001"}
        call = {"__DIALER_CALL_ID": "call-1", **variables}
        await self.connection.say("Originate", {**fields, "Async": "true"}, variables=call)


def exchange(**more: object) -> Exchange:
    return Exchange(username="bridge", secret=SECRET, people=lambda _: STAYS, speed=20, **more)  # type: ignore[arg-type]


class TestLies:
    def test_the_same_seed_lies_the_same(self):
        lies = Lies(seed=3, twice=0.5, late=0.5, torn=0.5, foreign=0.5)
        liars = Liar(lies), Liar(lies)

        first, second = ([told for _ in range(50) for told in liar.of(EVENT)] for liar in liars)

        assert first == second
        assert len(first) > 50
        assert any(len(told) < len(EVENT) for _, told in first)

    def test_none_is_the_truth(self):
        assert list(Liar(Lies()).of(EVENT)) == [(0.0, EVENT)]

    async def test_a_call_comes_to_the_same_whatever_is_said_twice_late_or_of_others(self):
        lies = Lies(seed=1, twice=0.5, late=0.5, late_s=0.1, foreign=0.5)
        async with exchange(lies=lies) as liar, Client(liar) as client:
            await client.click()
            await client.until(lambda: len(client.messages("BridgeEnter")) >= 2)
            await asyncio.sleep(0.3)
            liar.board.hang_up(liar.board.channels["call-1"], 16)
            await client.until(lambda: not liar.board.channels)
            await asyncio.sleep(0.3)

        story = tell("call-1", Direction.agent_first, of_call("call-1", facts_of(client.messages())))
        assert story.outcome is Outcome.answered
        assert story.cause == 16


class TestKill:
    async def test_nothing_is_left_and_it_may_begin_anew(self):
        async with exchange(queues={"sales": 0}) as here, Client(here) as client:
            await client.connection.say("QueueAdd", {"Queue": "sales", "Interface": "PJSIP/agent-1"})
            await client.click()
            await client.until(lambda: len(client.messages("BridgeEnter")) == 2)
            await here.kill()
            await here.listen()
            await client.until(lambda: sum(isinstance(item, Up) for item in client.heard) == 2)
            channels = await client.connection.ask("CoreShowChannels")
            queues = await client.connection.ask("QueueStatus")

        assert any(isinstance(item, Lost) for item in client.heard)
        assert client.messages("Hangup") == []
        assert channels == []
        assert [row.event for row in queues] == ["QueueParams"]


class TestHold:
    async def test_by_the_telephone_is_told_once_and_heard_as_music(self):
        async with exchange() as here, Client(here) as client:
            await client.click()
            await client.until(lambda: len(client.messages("BridgeEnter")) == 2)
            here.hold("call-1")
            here.hold("call-1")
            here.hold("call-1", False)
            await client.until(lambda: client.messages("Unhold"))

        assert [m["uniqueid"] for m in client.messages("Hold")] == ["call-1"]
        assert len(client.messages("MusicOnHoldStart")) == 1


class TestRecordings:
    async def test_are_left_under_the_call_s_id_when_they_were_asked_for(self, tmp_path):
        async with exchange(recordings=tmp_path / "spool") as here, Client(here) as client:
            await client.click(DIALER_RECORD="1")
            await client.until(lambda: len(client.messages("BridgeEnter")) == 2)
            await client.connection.say("Hangup", {"Channel": "call-1"})
            await client.until(lambda: len(client.messages("Hangup")) == 2)

        [file] = (tmp_path / "spool").iterdir()
        assert file.name == "call-1.wav"
        with wave.open(io.BytesIO(file.read_bytes())) as sound:
            assert (sound.getframerate(), sound.getnframes()) == (8000, 8000)
        assert [m["uniqueid"] for m in client.messages("MixMonitorStart")] == ["call-1"]

    async def test_are_not_made_unasked(self, tmp_path):
        async with exchange(recordings=tmp_path) as here, Client(here) as client:
            await client.click()
            await client.until(lambda: len(client.messages("BridgeEnter")) == 2)
            await client.connection.say("Hangup", {"Channel": "call-1"})
            await client.until(lambda: len(client.messages("Hangup")) == 2)

        assert list(tmp_path.iterdir()) == []


class TestRecords:
    async def test_tell_how_each_leg_ended_in_a_file_like_the_real_one_s(self, tmp_path):
        async with exchange(records=tmp_path / "Master.csv") as here, Client(here) as client:
            await client.click()
            await client.until(lambda: len(client.messages("BridgeEnter")) == 2)
            await client.connection.say("Hangup", {"Channel": "call-1"})
            await client.until(lambda: len(client.messages("Hangup")) == 2)

        [fact] = records.of(tmp_path / "Master.csv", {"call-1"})
        [row] = [row for row in here.board.book if row["uniqueid"] == "call-1"]
        assert fact.dialled is Dialled.answer
        assert (fact.duration_s, fact.billable_s) == (int(row["seconds"]), int(row["billable"]))
        assert len((tmp_path / "Master.csv").read_text().splitlines()) == 2


class TestTraffic:
    async def test_people_call_in_where_there_are_agents(self):
        async with (
            exchange(queues={"sales": 0, "empty": 0}, traffic=Traffic(60, seed=1)) as here,
            Client(here) as client,
        ):
            await client.connection.say("QueueAdd", {"Queue": "sales", "Interface": "PJSIP/agent-1"})
            await client.until(lambda: len(client.messages("QueueCallerJoin")) >= 3)

        arrived = [m for m in client.messages("UserEvent") if m["userevent"] == "Arrived"]
        assert {m["queue"] for m in arrived} == {"sales"}
        assert all(m["calleridnum"].startswith("+90500000") for m in arrived)


class TestDeny:
    async def test_what_our_user_of_the_templates_may_not_do(self):
        async with exchange() as here, Client(here) as client:
            refused = []
            for action in ("MuteAudio", "MixMonitor", "Command", "GetConfig", "Reload"):
                try:
                    await client.connection.say(action, {"Channel": "call-1"})
                except Exception as error:  # the words are what is asked for
                    refused.append(str(error))

        assert refused == ["Permission denied"] * 5
