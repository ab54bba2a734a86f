"""The manager interface of a loopback exchange on a TCP port: banner, login, actions, events, as on the wire."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from pydantic import SecretStr

from dialer.exchange.actions import CallActions
from dialer.exchange.callers import Traffic, call_in
from dialer.exchange.dialplan import Dialplan
from dialer.exchange.lies import Liar, Lies
from dialer.exchange.people import Party, People, crowd
from dialer.exchange.queue_actions import QueueActions
from dialer.exchange.queue_log import QueueLog
from dialer.exchange.queues import Queue
from dialer.exchange.recording import Recorder
from dialer.exchange.records import Records
from dialer.exchange.replies import Reply, Said, refuse
from dialer.exchange.switchboard import Header, Switchboard

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
DENIED = frozenset({"muteaudio", "mixmonitor", "stopmixmonitor", "command", "getconfig", "updateconfig", "reload"})
"""What our user of `manager.conf` may not do: it has no write `system`, `command` or `config`."""
MOST_UNSENT = 4 << 20
"""Bytes a client may leave unread before it is cut off."""


class Exchange:
    """A loopback exchange. `async with Exchange(...)` listens; `port` 0 takes any free one.

    `queues`: names with weights; None: whoever names a queue gets one. `recordings`: where files of recorded calls go.
    `records`: the file of its own records (CDR); `queue_log`: of what happened in its queues.
    """

    def __init__(
        self, *, username: str, secret: SecretStr, people: People = crowd, speed: float = 1.0,
        host: str = "127.0.0.1", port: int = 0, queues: Mapping[str, int] | None = None,
        recordings: Path | None = None, records: Path | None = None, traffic: Traffic | None = None,
        lies: Lies | None = None, queue_log: Path | None = None,
    ) -> None:  # fmt: skip
        self.username = username
        self.secret = secret
        self.host = host
        self.port = port
        self.people = people
        self.speed = speed
        self.queues = queues
        self.recordings = recordings
        self.records = records
        self.queue_log = queue_log
        self.traffic = traffic
        self.liar = Liar(lies) if lies else None
        self._clients: dict[asyncio.StreamWriter, bool] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._log: QueueLog | None = None

    async def __aenter__(self) -> "Exchange":
        """Listen."""
        self.board = Switchboard(self.people, self.tell, speed=self.speed)
        self.board.queues |= {name: Queue(name, weight) for name, weight in (self.queues or {}).items()}
        if self.records is not None:
            Records(self.board, self.records)
        self._log = QueueLog(self.board, self.queue_log) if self.queue_log else None
        is_closed = self.queues is not None
        Dialplan(self.board, Recorder(self.board, self.recordings), is_closed=is_closed)
        self._known = CallActions(self.board).known | QueueActions(self.board, is_closed=is_closed).known
        await self.listen()
        return self

    async def listen(self) -> None:
        """Take connections, on the port of before if there was one; people begin to call in."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        if self.traffic is not None:
            self.board.begin(self.traffic.run(self.board))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every call and connection."""
        await self.board.stop()
        self.tell([("Event", "Shutdown"), ("Privilege", "system,all"), ("Shutdown", "Cleanly"), ("Restart", "False")])
        await self.crash()

    def call_in(self, queue: str, number: str, party: Party | None = None) -> str:
        """Let somebody call in for a queue; return the unique id of their channel."""
        return call_in(self.board, number, queue, party)

    def hold(self, name: str, is_held: bool = True) -> None:
        """Let the telephone of a channel put whoever it talks with on hold, or take them up again."""
        channel = self.board.find(name)
        if channel is None or channel.is_held is is_held:
            return
        channel.is_held = is_held
        self.board.of_channel("Hold" if is_held else "Unhold", channel)
        for other in channel.others:
            self.board.of_channel(f"MusicOnHold{'Start' if is_held else 'Stop'}", other)

    async def crash(self) -> None:
        """Close without a word; calls go on."""
        if self._server is not None:
            self._server.close()
        self.cut()
        if self._serving:
            await asyncio.wait(self._serving, timeout=1)

    async def kill(self) -> None:
        """Die without a word, as by SIGKILL: calls, members and connections are gone. `listen` starts anew."""
        await self.crash()
        await self.board.vanish()

    def cut(self) -> None:
        """Cut every connection; calls go on."""
        for writer in list(self._clients):
            writer.close()

    def tell(self, headers: Sequence[Header]) -> None:
        """Tell an event to everybody who has logged in."""
        if self._log is not None:
            self._log.write(headers)
        if self.liar is None:
            return self._write(headers)
        for wait_s, told in self.liar.of(headers):
            if wait_s:
                asyncio.get_running_loop().call_later(wait_s, self._write, told)
            else:
                self._write(told)
        return None

    def _write(self, headers: Sequence[Header]) -> None:
        data = _wire(headers)
        for writer, is_known in list(self._clients.items()):
            if is_known and not writer.is_closing():
                writer.write(data)
                if writer.transport.get_write_buffer_size() > MOST_UNSENT:
                    writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients[writer] = False
        if task := asyncio.current_task():
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        writer.write(BANNER)
        try:
            while True:
                await self._answer(writer, _read((await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # the client went, in its own way
        finally:
            del self._clients[writer]
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, said: Said) -> None:
        name, asked = said.get("action", "").lower(), ("ActionID", said.get("actionid", ""))
        if name == "login":
            return await self._login(writer, said, asked)
        if not self._clients[writer]:
            writer.write(_wire([("Response", "Error"), asked, ("Message", "Permission denied")]))
        elif name == "ping":
            writer.write(
                _wire([("Response", "Success"), asked, ("Ping", "Pong"), ("Timestamp", f"{self.board.now():.6f}")])
            )
        elif name == "logoff":
            writer.write(_wire([("Response", "Goodbye"), asked, ("Message", "Thanks for all the fish.")]))
            writer.close()
        else:
            response, headers, rows = self._do(name, said)
            writer.write(_wire([("Response", response), asked, *headers]))
            for n, row in enumerate(rows):
                last = n == len(rows) - 1
                ends = [("EventList", "Complete"), ("ListItems", str(len(rows) - 1))] if last else []
                writer.write(_wire([row[0], asked, *row[1:], *ends]))
        return None

    def _do(self, name: str, said: Said) -> Reply:
        if name in DENIED:
            return refuse("Permission denied")
        if found := self._known.get(name):
            return found(said)
        words = "Use Action: ListCommands to show available commands."
        return refuse(f"Invalid/unknown command: {said.get('action', '')}. {words}")

    async def _login(self, writer: asyncio.StreamWriter, said: Said, asked: Header) -> None:
        if (said.get("username"), said.get("secret")) != (self.username, self.secret.get_secret_value()):
            writer.write(_wire([("Response", "Error"), asked, ("Message", "Authentication failed")]))
            writer.close()
            return
        self._clients[writer] = True
        writer.write(_wire([("Response", "Success"), asked, ("Message", "Authentication accepted")]))


def _wire(headers: Sequence[Header]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode() + b"\r\n"


def _read(text: str) -> Said:
    """Return an action's headers by lower-case name; those that come several times are lines of one value."""
    said: Said = {}
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            key = name.strip().lower()
            said[key] = f"{said[key]}\n{value.strip()}" if key in said else value.strip()
    return said
