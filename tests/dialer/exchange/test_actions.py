"""What one may ask of the loopback exchange, and what it keeps of its calls."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from crm.calls.story import Direction, Outcome, tell
from dialer.ami.connection import Address, Connection, Limits, Lost, Refused, Up
from dialer.ami.messages import Message
from dialer.exchange.people import Answer, Party, crowd
from dialer.exchange.server import Exchange
from tests.dialer.ami.test_translate import facts_of, of_call

SPEED = 20.0
PEOPLE = {
    "PJSIP/agent-1": Party(rings_s=1, stays_s=600),
    "PJSIP/5001@carrier": Party(rings_s=1, stays_s=600),
    "PJSIP/5002@carrier": Party(Answer.absent),
    "PJSIP/5003@carrier": Party(Answer.silent),
}


class Talk:
    """A connection to an exchange, and all it heard."""

    def __init__(self, exchange: Exchange, connection: Connection) -> None:
        self.exchange = exchange
        self.connection = connection
        self.heard: list[object] = []

    async def listen(self) -> None:
        async for item in self.connection.heard():
            self.heard.append(item)

    def events(self, name: str) -> list[Message]:
        return [item for item in self.heard if isinstance(item, Message) and item.event == name]

    async def until(self, question) -> None:
        async with asyncio.timeout(60):
            while not question():
                await asyncio.sleep(0.005)

    async def click(self, call_id: str = "call-1", number: str = "5001") -> None:
        await self.connection.say(
            "Originate",
            {"Channel": "PJSIP/agent-1", "ChannelId": call_id, "Async": "true", "Context": "outbound", "Exten": number},
        )

    def story(self, call_id: str = "call-1"):
        messages = [item for item in self.heard if isinstance(item, Message)]
        return tell(call_id, Direction.agent_first, of_call(call_id, facts_of(messages)))


@asynccontextmanager
async def talking(people=PEOPLE.__getitem__):
    async with Exchange(username="bridge", secret=SecretStr("lab"), people=people, speed=SPEED) as exchange:
        stop = asyncio.Event()
        limits = Limits(probe_every=60, retry_first=0.05)
        talk = Talk(
            exchange, Connection(Address("127.0.0.1", exchange.port, "bridge", SecretStr("lab")), limits=limits)
        )
        tasks = [asyncio.create_task(talk.connection.run(stop)), asyncio.create_task(talk.listen())]
        await talk.until(lambda: talk.heard)
        yield talk
        stop.set()
        await tasks[0]
        tasks[1].cancel()


class TestHold:
    async def test_is_music_for_one_and_waiting_for_the_other_until_they_meet_again(self):
        async with talking() as talk:
            await talk.click()
            await talk.until(lambda: len(talk.events("BridgeEnter")) == 2)
            customer = next(m for m in talk.events("BridgeEnter") if m["uniqueid"] != "call-1")
            agent = next(m for m in talk.events("BridgeEnter") if m["uniqueid"] == "call-1")
            await talk.connection.say(
                "Redirect",
                {"Channel": customer["channel"], "Context": "hold", "Exten": "s", "Priority": 1,
                 "ExtraChannel": agent["channel"], "ExtraContext": "park", "ExtraExten": "s", "ExtraPriority": 1},
            )  # fmt: skip
            await talk.until(lambda: talk.events("MusicOnHoldStart"))
            assert talk.story().outcome is Outcome.answered
            assert talk.story().ended_at is None
            await talk.connection.say("Bridge", {"Channel1": agent["channel"], "Channel2": customer["channel"]})
            await talk.until(lambda: len(talk.events("BridgeEnter")) == 4)
            await talk.connection.say("Hangup", {"Channel": customer["channel"]})
            await talk.until(lambda: len(talk.events("Hangup")) == 2)

        assert talk.story().ended_at is not None
        assert talk.story().talk_s > 0


class TestTransfer:
    async def test_takes_the_customer_elsewhere_and_the_agent_out(self):
        async with talking() as talk:
            await talk.click()
            await talk.until(lambda: len(talk.events("BridgeEnter")) == 2)
            await talk.connection.say("BlindTransfer", {"Channel": "call-1", "Context": "survey", "Exten": "s"})
            await talk.until(lambda: len(talk.events("Hangup")) == 2)

        [transfer] = talk.events("BlindTransfer")
        first, last = talk.events("Hangup")
        assert transfer["result"] == "Success"
        assert (first["uniqueid"], last["context"]) == ("call-1", "survey")

    async def test_to_nowhere_ends_the_customer_as_the_real_one_does(self):
        """Which is why the destination is checked before it is asked for."""
        async with talking() as talk:
            await talk.click()
            await talk.until(lambda: len(talk.events("BridgeEnter")) == 2)
            await talk.connection.say("BlindTransfer", {"Channel": "call-1", "Context": "nowhere", "Exten": "1"})
            await talk.until(lambda: len(talk.events("Hangup")) == 2)

        assert talk.events("BlindTransfer")[0]["result"] == "Success"
        assert talk.story().ended_at is not None

    async def test_of_a_call_that_talks_with_nobody_is_refused(self):
        async with talking() as talk:
            await talk.click(number="5003")
            await talk.until(lambda: talk.events("DialBegin"))
            with pytest.raises(Refused, match="Transfer failed"):
                await talk.connection.say("BlindTransfer", {"Channel": "call-1", "Context": "survey", "Exten": "s"})


class TestRefuse:
    @pytest.mark.parametrize(
        ("action", "fields", "message"),
        [
            ("Nonsense", {}, "Invalid/unknown command"),
            ("Hangup", {"Channel": "PJSIP/none-1"}, "No such channel"),
            ("Hangup", {}, "No channel specified"),
            ("Redirect", {"Channel": "x", "Context": "hold", "Exten": "s"}, "Channel does not exist: x"),
            ("QueueRemove", {"Queue": "sales", "Interface": "PJSIP/agent-1"}, "Unable to remove interface: Not there"),
            ("QueuePause", {"Queue": "sales", "Interface": "PJSIP/agent-1", "Paused": "true"}, "Interface not found"),
            ("Originate", {"Channel": "PJSIP/agent-1", "Context": "no", "Exten": "1"}, "Extension does not exist."),
            ("Originate", {"Channel": "PJSIP/agent-1", "Application": "System", "Data": "id"}, "Access Forbidden"),
            (
                "Originate",
                {"Channel": "PJSIP/agent-1", "Context": "hold", "Exten": "s", "ChannelId": "x" * 150},
                "Uniqueid length exceeds maximum of 149",
            ),
        ],
    )
    async def test_says_why(self, action, fields, message):
        async with talking() as talk:
            with pytest.raises(Refused, match=message):
                await talk.connection.say(action, fields)

    async def test_a_live_id_is_not_used_again(self):
        async with talking() as talk:
            await talk.click()
            await talk.until(lambda: len(talk.events("BridgeEnter")) == 2)
            await talk.click()
            await talk.until(lambda: len(talk.events("OriginateResponse")) == 2)

        assert talk.events("OriginateResponse")[1]["response"] == "Failure"
        assert len(talk.exchange.board.book) == 2

    async def test_a_number_that_is_none_is_told_by_the_dialplan(self):
        async with talking() as talk:
            await talk.click(number="5002")
            await talk.until(lambda: talk.events("Hangup"))

        assert talk.story().outcome is Outcome.invalid


class TestBreak:
    async def test_calls_go_on_while_nobody_listens(self):
        async with talking() as talk:
            await talk.click()
            await talk.until(lambda: len(talk.events("BridgeEnter")) == 2)
            talk.exchange.cut()
            await talk.until(lambda: sum(isinstance(item, Up) for item in talk.heard) == 2)
            channels = await talk.connection.ask("CoreShowChannels")

        assert any(isinstance(item, Lost) for item in talk.heard)
        assert {row["linkedid"] for row in channels} == {"call-1"}

    async def test_a_wrong_secret_is_refused(self):
        async with talking() as talk:
            address = Address("127.0.0.1", talk.exchange.port, "bridge", SecretStr("wrong"))
            stop, other = asyncio.Event(), None
            other = Connection(address)
            running = asyncio.create_task(other.run(stop))
            await talk.until(lambda: other.trouble == "ami.login_refused")
            stop.set()
            await running


async def test_a_hundred_calls_end_as_the_book_says():
    """Everybody is called; each call has one story, and the exchange's own book agrees with it."""
    async with talking(crowd) as talk:
        numbers = [f"9053{n:08}" for n in range(100)]
        for n, number in enumerate(numbers):
            await talk.connection.say(
                "Originate",
                {"Channel": f"PJSIP/{number}@carrier", "ChannelId": f"call-{n}", "Async": "true", "Timeout": 25_000,
                 "Context": "predictive-amd", "Exten": "sales"},
            )  # fmt: skip
        await talk.until(lambda: len(talk.events("OriginateResponse")) == 100 and not talk.exchange.board.channels)
        await talk.until(lambda: len(talk.events("Cdr")) == len(talk.exchange.board.book))
        facts = facts_of(item for item in talk.heard if isinstance(item, Message))
        stories = [tell(f"call-{n}", Direction.customer_first, of_call(f"call-{n}", facts)) for n in range(100)]
        book = {row["uniqueid"]: row for row in talk.exchange.board.book}

    assert len(book) == 100
    for n, story in enumerate(stories):
        assert story.cause == book[f"call-{n}"]["cause"]
        assert (story.answered_at is not None) == (book[f"call-{n}"]["disposition"] == "ANSWERED")
    assert {Outcome.machine, Outcome.no_answer, Outcome.busy, Outcome.dropped} <= {s.outcome for s in stories}
