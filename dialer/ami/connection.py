"""A connection to an exchange that comes back by itself: login, own probe of life, time limits, back-pressure."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import SecretStr

from crm import errors, ids
from dialer.ami import messages
from dialer.ami.line import Down, Line, Unanswered
from dialer.ami.messages import Message

log = structlog.get_logger(__name__)


class Refused(errors.Conflict):
    """The exchange refused it."""

    code = "ami.refused"


class LoginRefused(errors.NotAuthenticated):
    """The exchange refused the login: check user and secret in `manager.conf`."""

    code = "ami.login_refused"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an exchange listens, and as whom we come (a user of its `manager.conf`)."""

    host: str
    port: int
    username: str
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much, in seconds and messages."""

    connect: float = 5.0
    answer: float = 5.0
    probe_every: float = 10.0
    retry_first: float = 0.5
    retry_most: float = 60.0
    steady_after: float = 30.0
    """A connection that held so long was good: the next attempt comes at once."""
    heard_most: int = 5_000
    """Messages not taken yet at which no more are read: the server keeps them, and in the end cuts us off."""
    heard_again: int = 1_000


@dataclass(frozen=True, slots=True)
class Up:
    """Logged in; everything before it may have been missed."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended, or did not come about; `code` says why."""

    code: str


Heard = Message | Up | Lost


class Connection:
    """Keep `run` running, take what is heard from `heard()`, and speak by `say` and `ask`."""

    def __init__(self, address: Address, *, limits: Limits | None = None) -> None:
        self.address = address
        self.limits = limits or Limits()
        self.trouble = "ami.down"
        """Why there is no connection; empty while there is one."""
        self._line: Line | None = None
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()
        self._is_paused = False
        self._is_silent = False

    async def run(self, stop: asyncio.Event) -> None:
        """Be connected until told to stop; after a failure wait longer each time, with jitter."""
        loop, attempt = asyncio.get_running_loop(), 0
        while not stop.is_set():
            began = loop.time()
            code = await self._once(stop)
            if stop.is_set():
                return
            attempt = 0 if loop.time() - began > self.limits.steady_after else attempt + 1
            wait = min(self.limits.retry_most, self.limits.retry_first * 2**attempt) * random.uniform(0.5, 1)
            log.warning("ami.lost", code=code, host=self.address.host, retry_s=round(wait, 1))
            await _unless(stop, wait)

    async def heard(self) -> AsyncIterator[Heard]:
        """Yield what is heard, in order, with `Up` and `Lost` where the connection came and went."""
        while True:
            yield await self._heard.get()
            if self._is_paused and self._heard.qsize() <= self.limits.heard_again:
                self._pause(False)

    async def say(
        self, name: str, fields: Mapping[str, object] | None = None, *, variables: Mapping[str, object] | None = None,
        action_id: str | None = None, within: float | None = None,
    ) -> Message:  # fmt: skip
        """Do an action and return the exchange's answer. It is sent once, whatever happens.

        `within`: seconds to wait for the answer.

        :raises messages.Unspeakable: when a value does not fit into a line; nothing was sent.
        :raises Down: when there is no connection; nothing was sent.
        :raises Unanswered: when no answer came; it may have been done.
        :raises Refused: when the exchange refused it.
        """
        answer = await self._send(name, fields or {}, variables or {}, action_id, within, as_list=False)
        return _accepted(answer)

    async def ask(
        self, name: str, fields: Mapping[str, object] | None = None, *, within: float | None = None
    ) -> list[Message]:
        """Do an action that answers with a list (`QueueStatus`, `CoreShowChannels`); return its rows.

        :raises Down, Unanswered, Refused: as `say`.
        """
        answer = await self._send(name, fields or {}, {}, None, within, as_list=None)
        if not isinstance(answer, list):
            _accepted(answer)
            return []
        rows = [messages.heard(each) for each in answer]
        return [each for each in rows if each and each.event and each["eventlist"].lower() != "complete"]

    async def _send(
        self, name: str, fields: Mapping[str, object], variables: Mapping[str, object], action_id: str | None,
        within: float | None, *, as_list: bool | None,
    ) -> Any:  # fmt: skip
        action_id = action_id or str(ids.new())
        action = messages.action(name, {**fields, "ActionID": action_id}, variables)
        line = self._line
        if line is None or self.trouble:
            raise Down
        return await self._answer(line, action, action_id, within or self.limits.answer, as_list)

    async def _answer(
        self, line: Line, action: dict[str, object], action_id: str, within: float, as_list: bool | None
    ) -> Any:
        try:
            async with asyncio.timeout(within):
                return await line.send(action, as_list=as_list)
        except TimeoutError:
            raise Unanswered from None
        finally:
            line.forget(action_id)

    async def _once(self, stop: asyncio.Event) -> str:
        """Live through one connection; return why it ended."""
        over = asyncio.Event()
        line = Line(self.address.host, self.address.port, hear=self._hear, lost=over.set)
        try:
            async with asyncio.timeout(self.limits.connect):
                await line.open()
                await self._login(line)
            self._line, self.trouble, self._is_paused = line, "", False
            self._heard.put_nowait(Up())
            code = await self._watch(line, over, stop)
        except (TimeoutError, OSError):
            code = "ami.unreachable"
        except errors.CrmError as error:
            code = error.code
        finally:
            line.cut()
            self._line = None
        self.trouble = code
        self._heard.put_nowait(Lost(code))
        return code

    async def _login(self, line: Line) -> None:
        who = {"Username": self.address.username, "Secret": self.address.secret.get_secret_value(), "Events": "on"}
        action_id = str(ids.new())
        action = messages.action("Login", {**who, "ActionID": action_id}, {})
        answer = messages.heard(await self._answer(line, action, action_id, self.limits.answer, False))
        if answer is None or answer["response"].lower() != "success":
            raise LoginRefused

    async def _watch(self, line: Line, over: asyncio.Event, stop: asyncio.Event) -> str:
        """Ask for a sign of life now and then until it is over; return why it is."""
        ended = asyncio.create_task(over.wait())
        stopped = asyncio.create_task(stop.wait())
        try:
            while True:
                done, _ = await asyncio.wait(
                    (ended, stopped), timeout=self.limits.probe_every, return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    return "ami.stopped" if stopped in done else "ami.lost"
                await self._probe(line)
        finally:
            ended.cancel()
            stopped.cancel()

    async def _probe(self, line: Line) -> None:
        """Ask for a sign of life; whatever was heard meanwhile is one, and while we read nothing none can come."""
        if self._is_paused:
            return
        action_id, self._is_silent = str(ids.new()), True
        ping = messages.action("Ping", {"ActionID": action_id}, {})
        try:
            await self._answer(line, ping, action_id, self.limits.answer, False)
        except Unanswered:
            if self._is_silent:
                raise

    def _hear(self, message: Message) -> None:
        self._is_silent = False
        if self._line is None:  # before `Up`, after which everything is asked for anyway
            return
        self._heard.put_nowait(message)
        if not self._is_paused and self._heard.qsize() >= self.limits.heard_most:
            self._pause(True)

    def _pause(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        line = self._line
        if line is None or line.protocol is None or line.protocol.transport.is_closing():
            return
        if is_paused:
            line.protocol.transport.pause_reading()
        else:
            line.protocol.transport.resume_reading()


def _accepted(answer: Any) -> Message:
    message = messages.heard(answer)
    if message is None or message["response"].lower() not in ("success", "follows", "goodbye"):
        raise Refused(message["message"] if message else "")
    return message


async def _unless(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
