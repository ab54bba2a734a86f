"""panoramisk's protocol and manager for the life of one connection, with what they do by themselves switched off.

panoramisk 1.4 sends unanswered actions again after a reconnect (a call dialled twice), loses characters cut by a
segment, and dies of an event it cannot read. Here a connection lives once, what was not answered fails, and a message
that cannot be read is discarded by name.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message as Raw

from crm import errors
from dialer.ami import messages
from dialer.ami.messages import Message

log = structlog.get_logger(__name__)

END = b"\r\n\r\n"
LONGEST_MESSAGE = 1 << 20
"""Bytes after which something that never ends is no message."""


class Down(errors.Unavailable):
    """The exchange is not connected; nothing was sent."""

    code = "ami.down"


class Unanswered(errors.Unavailable):
    """The exchange did not answer; whether it acted is not known, and nothing is sent again."""

    code = "ami.unanswered"
    retryable = False


class Protocol(AMIProtocol):
    """Reads whole messages only, and survives those that are none."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        """Take bytes as they come; a message is read when its end is there, so that no character is cut."""
        whole, end, self.rest = (self.rest + data).rpartition(END)
        if len(self.rest) > LONGEST_MESSAGE:
            log.warning("ami.endless_message")
            self.transport.abort()
        elif end:
            super().data_received(whole + end)

    def handle_message(self, message: Raw) -> None:
        """Answer who waits for it or tell it; whatever it does to us, the next message is read."""
        try:
            action = self.responses.get(message.action_id)
            if "event" in message and action is not None and action.as_list is False:
                self.factory.dispatch(message)
            else:
                super().handle_message(message)
        except Exception as error:  # one message may be anything; the conversation goes on
            log.warning("ami.discarded", error=type(error).__name__)

    def connection_lost(self, exc: object) -> None:
        """End; a connection that nobody has taken over yet ends in silence."""
        if self.factory is None:
            self.closed = True
        else:
            super().connection_lost(exc)

    def close(self) -> None:
        """End, and fail what was not answered: it must never be sent again."""
        waiting, self.responses = {id(each): each for each in self.responses.values()}, {}
        super().close()
        for action in waiting.values():
            if not action.future.done():
                action.future.set_exception(Unanswered())


class Line(Manager):
    """One connection: opened once, told of its end once; it neither reconnects, nor logs in, nor pings by itself."""

    def __init__(self, host: str, port: int, *, hear: Callable[[Message], None], lost: Callable[[], None]) -> None:
        super().__init__(host=host, port=port, protocol_factory=Protocol, loop=asyncio.get_running_loop())
        self.hear = hear
        self.lost = lost

    async def open(self) -> None:
        """Connect.

        :raises OSError: when nobody is there.
        """
        await self.connect()

    def connection_made(self, opened: "asyncio.Task[Any]") -> None:
        """Note the connection; what failed is told to whoever waits for `open`."""
        if not opened.cancelled() and opened.exception() is None:
            super().connection_made(opened)

    def ping(self) -> None:
        """Do nothing: the library never looks at the answers."""

    def connection_lost(self, exc: object) -> None:
        """Tell that it is over."""
        self.close()
        self.lost()

    def dispatch(self, event: Raw) -> None:
        """Tell an event."""
        if message := messages.heard(event):
            self.hear(message)
        else:
            log.warning("ami.discarded", error="no event")

    def send(self, action: dict[str, object], *, as_list: bool | None) -> "asyncio.Future[Any]":
        """Send an action and return its answer to come.

        :raises Down: when there is no connection, or it takes no more.
        """
        if self.protocol is None or self.protocol.closed or self.protocol.transport.is_closing():
            raise Down
        if self.protocol.transport.get_write_buffer_size() > LONGEST_MESSAGE:
            raise Down("the exchange does not read what is sent to it; nothing was sent")
        future: asyncio.Future[Any] = self.send_action(action, as_list=as_list)
        return future

    def forget(self, action_id: str) -> None:
        """Wait for an answer no longer: a late one is discarded."""
        if self.protocol is not None:
            self.protocol.responses.pop(action_id, None)

    def cut(self) -> None:
        """End at once, without waiting for what is not sent yet."""
        if self.protocol is not None and not self.protocol.closed:
            self.protocol.transport.abort()
