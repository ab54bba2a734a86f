"""Who is called for whom in the queues of a loopback exchange."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dialer.exchange.actions import CallActions
from dialer.exchange.callers import call_in
from dialer.exchange.dialplan import Dialplan
from dialer.exchange.people import Answer, Party
from dialer.exchange.queue_actions import QueueActions
from dialer.exchange.queues import Queue
from dialer.exchange.recording import Recorder
from dialer.exchange.switchboard import Header, Switchboard

PATIENT = Party(rings_s=1, stays_s=10_000, patience_s=10_000)


class Floor:
    """A switchboard with its queues, and what it told."""

    def __init__(self, people: dict[str, Party], weights: dict[str, int]) -> None:
        self.told: list[dict[str, str]] = []
        self.board = Switchboard(lambda who: people.get(who, PATIENT), self._tell, speed=50)
        self.board.queues |= {name: Queue(name, weight) for name, weight in weights.items()}
        Dialplan(self.board, Recorder(self.board, None), is_closed=True)
        self.known = CallActions(self.board).known | QueueActions(self.board, is_closed=True).known

    def _tell(self, headers: list[Header]) -> None:
        self.told.append(dict(headers))

    def do(self, action: str, **said: str) -> str:
        """Do an action; return its answer."""
        response, headers, _ = self.known[action.lower()]({name.lower(): value for name, value in said.items()})
        return response if response == "Success" else dict(headers)["Message"]

    def member(self, number: int, queue: str = "sales", penalty: int = 0, paused: str = "false") -> str:
        """Put an agent into a queue; return their interface."""
        interface = f"PJSIP/agent-{number}"
        said = {"Queue": queue, "Interface": interface, "Penalty": str(penalty), "Paused": paused}
        assert self.do("QueueAdd", **said) == "Success"
        return interface

    def events(self, name: str) -> list[dict[str, str]]:
        return [each for each in self.told if each["Event"] == name]

    async def until(self, name: str, n: int = 1) -> list[dict[str, str]]:
        """Wait until an event was told so many times."""
        async with asyncio.timeout(60):
            while len(self.events(name)) < n:
                await asyncio.sleep(0.005)
        return self.events(name)


@asynccontextmanager
async def floor(people: dict[str, Party] | None = None, **weights: int) -> AsyncIterator[Floor]:
    """Open a floor with a queue `sales`, or with the queues of some weights."""
    opened = Floor(people or {}, weights or {"sales": 0})
    try:
        yield opened
    finally:
        await opened.board.stop()


class TestMembers:
    async def test_the_lowest_penalty_is_called_first(self):
        async with floor() as here:
            here.member(1, penalty=5)
            low = here.member(2, penalty=1)
            call_in(here.board, "1", "sales")

            [connected] = await here.until("AgentConnect")

        assert connected["Interface"] == low

    async def test_one_who_misses_a_call_is_not_called_again_before_the_others(self):
        async with floor({"PJSIP/agent-1": Party(Answer.silent)}) as here:
            here.member(1)
            other = here.member(2)
            call_in(here.board, "1", "sales")

            [connected] = await here.until("AgentConnect")

        assert [each["Interface"] for each in here.events("AgentRingNoAnswer")] == ["PJSIP/agent-1"]
        assert connected["Interface"] == other

    async def test_one_who_talks_is_called_by_no_other_queue(self):
        async with floor(sales=0, support=0) as here:
            here.member(1)
            here.member(1, "support")
            call_in(here.board, "1", "sales")
            await here.until("AgentConnect")
            call_in(here.board, "2", "support")
            await asyncio.sleep(0.1)

            rows = here.known["queuestatus"]({})[2]

        assert len(here.events("AgentCalled")) == 1
        assert [dict(row)["Status"] for row in rows if row[0][1] == "QueueMember"] == ["3", "3"]

    async def test_a_queue_of_more_weight_is_served_first(self):
        async with floor(sales=0, vip=10) as here:
            here.member(1, paused="true")
            here.member(1, "vip", paused="true")
            call_in(here.board, "1", "sales")
            call_in(here.board, "2", "vip")
            await here.until("QueueCallerJoin", 2)
            here.do("QueuePause", Interface="PJSIP/agent-1", Paused="false")

            [connected] = await here.until("AgentConnect")

        assert connected["Queue"] == "vip"

    async def test_a_queue_whose_telephones_are_all_gone_lets_nobody_in(self):
        async with floor({"PJSIP/agent-1": Party(Answer.absent)}) as here:
            here.member(1)
            call_in(here.board, "1", "sales")

            results = await here.until("UserEvent", 2)

        assert results[1]["QueueStatus"] == "JOINUNAVAIL"
        assert here.events("QueueCallerJoin") == []


class TestOrder:
    async def test_is_by_priority_and_then_by_joining(self):
        async with floor() as here:
            here.member(1, paused="true")
            for number in "123":
                call_in(here.board, number, "sales")
            joined = await here.until("QueueCallerJoin", 3)
            last = joined[2]["Channel"]
            assert here.do("QueueChangePriorityCaller", Queue="sales", Caller=last, Priority="5") == "Success"
            before = [entry.channel.name for entry in here.board.queues["sales"].waiting]

            here.do("QueueChangePriorityCaller", Queue="sales", Caller=last, Priority="5", Immediate="yes")
            here.do("QueuePause", Interface="PJSIP/agent-1", Paused="false")
            [connected] = await here.until("AgentConnect")

        assert before[2] == last
        assert connected["Channel"] == last

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ({"Queue": "sales", "Caller": "nobody", "Priority": "5"}, "No such caller"),
            ({"Queue": "none", "Caller": "nobody", "Priority": "5"}, "No such queue"),
        ],
    )
    async def test_says_why_it_stays(self, said: dict[str, str], message: str):
        async with floor() as here:
            assert message in here.do("QueueChangePriorityCaller", **said)

    async def test_several_are_served_at_once(self):
        async with floor() as here:
            for number in (1, 2, 3):
                here.member(number)
            for number in "123":
                call_in(here.board, number, "sales")

            connected = await here.until("AgentConnect", 3)

        assert len({each["Interface"] for each in connected}) == 3


class TestRefuse:
    @pytest.mark.parametrize(
        ("action", "said", "message"),
        [
            ("QueueAdd", {"Queue": "none", "Interface": "PJSIP/agent-1"}, "No such queue"),
            ("QueueRemove", {"Queue": "none", "Interface": "PJSIP/agent-1"}, "No such queue"),
            ("QueuePenalty", {"Queue": "sales", "Interface": "PJSIP/agent-1", "Penalty": "1"}, "Invalid interface"),
            (
                "Originate",
                {"Channel": "PJSIP/1@carrier", "Context": "predictive", "Exten": "none"},
                "Extension does not exist.",
            ),
        ],
    )
    async def test_an_unknown_queue(self, action: str, said: dict[str, str], message: str):
        async with floor() as here:
            assert message in here.do(action, **said)
