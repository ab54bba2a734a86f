"""The manager interface of a loopback exchange on a TCP port: banner, login, actions, events, as on the wire."""

import asyncio
from collections.abc import Sequence
from types import TracebackType

from pydantic import SecretStr

from dialer.exchange.actions import Actions, Said
from dialer.exchange.dialplan import Dialplan
from dialer.exchange.people import People, crowd
from dialer.exchange.switchboard import Header, Switchboard

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
MOST_UNSENT = 4 << 20
"""Bytes a client may leave unread before it is cut off."""


class Exchange:
    """A loopback exchange. `async with Exchange(...)` listens; `port` 0 takes any free one."""

    def __init__(
        self, *, username: str, secret: SecretStr, people: People = crowd, speed: float = 1.0,
        host: str = "127.0.0.1", port: int = 0,
    ) -> None:  # fmt: skip
        self.username = username
        self.secret = secret
        self.host = host
        self.port = port
        self.people = people
        self.speed = speed
        self._clients: dict[asyncio.StreamWriter, bool] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Exchange":
        """Listen."""
        self.board = Switchboard(self.people, self.tell, speed=self.speed)
        Dialplan(self.board)
        self.actions = Actions(self.board, self.people)
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every call and connection."""
        await self.board.stop()
        self.tell([("Event", "Shutdown"), ("Privilege", "system,all"), ("Shutdown", "Cleanly"), ("Restart", "False")])
        await self.crash()

    async def crash(self) -> None:
        """Close without a word, as a killed server."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Cut every connection; calls go on."""
        for writer in list(self._clients):
            writer.close()

    def tell(self, headers: Sequence[Header]) -> None:
        """Write an event to everybody who has logged in."""
        data = _wire(headers)
        for writer, is_known in list(self._clients.items()):
            if is_known and not writer.is_closing():
                writer.write(data)
                if writer.transport.get_write_buffer_size() > MOST_UNSENT:
                    writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients[writer] = False
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
            writer.write(_wire([("Response", "Success"), asked, ("Ping", "Pong")]))
        elif name == "logoff":
            writer.write(_wire([("Response", "Goodbye"), asked, ("Message", "Thanks for all the fish.")]))
            writer.close()
        else:
            response, headers, rows = self.actions.do(said)
            writer.write(_wire([("Response", response), asked, *headers]))
            for n, row in enumerate(rows):
                last = n == len(rows) - 1
                ends = [("EventList", "Complete"), ("ListItems", str(len(rows) - 1))] if last else []
                writer.write(_wire([row[0], asked, *row[1:], *ends]))
        return None

    async def _login(self, writer: asyncio.StreamWriter, said: Said, asked: Header) -> None:
        if (said.get("username"), said.get("secret")) != (self.username, self.secret.get_secret_value()):
            writer.write(_wire([("Response", "Error"), asked, ("Message", "Authentication failed")]))
            writer.close()
            return
        self._clients[writer] = True
        writer.write(_wire([("Response", "Success"), asked, ("Message", "Authentication accepted")]))
        booted = [("Event", "FullyBooted"), ("Privilege", "system,all"), ("Status", "Fully Booted")]
        writer.write(_wire(booted))


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
