"""A server that speaks AMI and does what a test tells it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Said = dict[str, str]
Behaviour = Callable[["Server", Said], Awaitable[None] | None]


@dataclass
class Server:
    """`heard`: every action of every connection; `others` decides on actions but Login and Ping, which succeed."""

    others: Behaviour | None = None
    login: str = "Success"
    answers_pings: bool = True
    reads: bool = True
    heard: list[Said] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    writer: asyncio.StreamWriter | None = None

    def tell(self, *lines: str) -> None:
        """Write one message."""
        self.write("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        assert self.writer is not None
        self.writer.write(data)

    def answer(self, said: Said, *lines: str, response: str = "Success") -> None:
        """Answer an action."""
        self.tell(f"Response: {response}", f"ActionID: {said['ActionID']}", *lines)

    def cut(self) -> None:
        """Cut the connection."""
        assert self.writer is not None
        self.writer.transport.abort()

    def said(self, name: str) -> list[Said]:
        """Return the actions of a name."""
        return [each for each in self.heard if each.get("Action") == name]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Live through one connection."""
        self.connections += 1
        self.writer = writer
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        try:
            while True:
                raw = (await reader.readuntil(b"\r\n\r\n")).decode()
                said = dict(line.split(": ", 1) for line in raw.split("\r\n") if ": " in line)
                self.heard.append(said)
                await self.react(said)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def react(self, said: Said) -> None:
        """Do what an action asks for."""
        if said["Action"] == "Login":
            self.answer(said, "Message: Authentication accepted", response=self.login)
        elif said["Action"] == "Ping":
            if self.answers_pings:
                self.answer(said, "Ping: Pong")
        elif self.others is not None:
            done = self.others(self, said)
            if done is not None:
                await done


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    """Listen on a free port."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        if server.writer is not None:
            server.writer.transport.abort()
