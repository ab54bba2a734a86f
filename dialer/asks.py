"""What the product asks of the exchange: each ask taken once, sent once, and its answer kept."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from crm import db
from crm.calls import sending
from crm.calls.sending import Answered, Outgoing
from crm.events import bell
from crm.exchange import Kind
from dialer import words
from dialer.ami import messages
from dialer.ami.connection import Refused
from dialer.ami.line import Down, Unanswered

if TYPE_CHECKING:
    from dialer.bridge import Bridge

log = structlog.get_logger("dialer.asks")

LOOK_S = 0.25
"""Seconds after which asks are looked for although no bell was heard."""
TOGETHER_S = 0.04
"""Seconds for which what is asked, answered or heard is gathered into one transaction."""


class Turns:
    """Work done in turns: the first after a silence at once, in a rush one every `TOGETHER_S`."""

    def __init__(self) -> None:
        self._began = 0.0

    async def next(self) -> None:
        """Wait for the next turn; what has come meanwhile belongs to it."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, TOGETHER_S - (loop.time() - self._began)))
        self._began = loop.time()


class Asks:
    """A bridge's asks. `is_up`: is there somebody to send them to? `begins` is told of calls about to begin."""

    def __init__(self, bridge: "Bridge", is_up: asyncio.Event, begins: Callable[[UUID], None]) -> None:
        self.connection, self.actor, self.trunk = bridge.connection, bridge.actor, bridge.wiring.trunk
        self.now, self.ear, self.aside, self.figures = bridge.now, bridge.ear, bridge.aside, bridge.figures
        self.is_up, self.begins = is_up, begins
        self._sending: set[asyncio.Task[None]] = set()
        self._answers: asyncio.Queue[Answered] = asyncio.Queue()

    async def send(self, ear: bell.Ear) -> None:
        """Send what is wanted; while there is nobody to send it to, only let go of what comes too late."""
        await self.aside.until_done(lambda: self.forget_sent(timedelta()))
        turns = Turns()
        while True:
            await turns.next()
            out: list[Outgoing] = []
            try:
                out = await self._claim(sending.AT_ONCE)
            except Exception as error:
                if not db.is_gone(error):
                    out = [one for _ in range(sending.AT_ONCE) for one in await self._claim_one()]
            for each in out:
                task = asyncio.create_task(self._say(each))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            if len(out) < sending.AT_ONCE:
                await ear.wait(LOOK_S)

    async def forget_sent(self, ago: timedelta) -> None:
        """Hold for unanswered what was sent longer ago than that."""
        now = self.now()
        await db.run(self.actor, lambda tx: sending.forget_sent(tx, before=now - ago, now=now))

    async def _claim(self, at_most: int) -> list[Outgoing]:
        only_late = not self.is_up.is_set()
        return await db.run(
            self.actor, lambda tx: sending.claim(tx, at_most=at_most, only_late=only_late, now=self.now())
        )

    async def _claim_one(self) -> list[Outgoing]:
        """Take one ask; one that cannot be taken is refused, so that it holds up no other."""
        only_late = not self.is_up.is_set()
        try:
            return await self._claim(1)
        except Exception as error:
            if db.is_gone(error):
                return []
            self.aside.put("ask", error)
        with suppress(*db.GONE):
            refused = await db.run(
                self.actor, lambda tx: sending.refuse_oldest(tx, only_late=only_late, now=self.now())
            )
            await self.aside.each(refused, self._give_up, lambda _: "call")
        return []

    async def _give_up(self, call_ids: Sequence[UUID]) -> None:
        await db.run(self.actor, lambda tx: sending.give_up_many(tx, call_ids, sending.DEFECT, now=self.now()))

    async def _say(self, out: Outgoing) -> None:
        """Send one ask. Its id is the action's, by which its late answer is known."""
        if out.call is not None and out.kind is Kind.originate:
            name = str(out.call["id"])
            self.ear.expect(str(out.id), name)
            self.ear.expect(name, name)
            self.begins(out.call["id"])
        elif out.kind is Kind.conference:
            self.ear.expect(str(out.id), str(out.args.get("room", "")))
        answered = await self._answer(out)
        if answered.failure:
            self.figures.failed[answered.failure] += 1
            log.warning("ask_failed", kind=out.kind.value, ask_id=str(out.id), code=answered.failure)
        self._answers.put_nowait(answered)

    async def settle(self) -> None:
        """Keep what the exchange answered, as much as comes within a moment in one transaction."""
        while True:
            answers = [await self._answers.get()]
            await asyncio.sleep(TOGETHER_S)
            while not self._answers.empty():
                answers.append(self._answers.get_nowait())
            each = partial(self.aside.each, answers, self._keep_answers, lambda _: "answer")
            await self.aside.until_done(each)

    async def _keep_answers(self, answers: Sequence[Answered]) -> None:
        await db.run(self.actor, lambda tx: sending.settle(tx, answers, now=self.now()))

    async def _answer(self, out: Outgoing) -> Answered:
        has_begun = False
        try:
            for n, action in enumerate(words.actions(out, named=self.ear.name_of, trunk=self.trunk)):
                action_id = str(out.id) if n == 0 else f"{out.id}-{n}"
                await self.connection.say(action.name, action.fields, variables=action.variables, action_id=action_id)
                has_begun = True
        except Down:
            return Answered(out.id, "exchange.down", is_sure=not has_begun, was_sent=has_begun)
        except Unanswered:
            return Answered(out.id, "exchange.unanswered", is_sure=False)
        except Refused as error:
            return Answered(out.id, words.failure(out.kind, str(error)), str(error))
        except messages.Unspeakable:
            return Answered(out.id, "exchange.unspeakable")
        except Exception as error:
            self.aside.put("ask", error, kind=out.kind.value)
            return Answered(out.id, sending.DEFECT, is_sure=not has_begun)
        return Answered(out.id)
