"""The loopback exchange as a stage for scenes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from dialer.ami.connection import Address
from dialer.ami.messages import Message
from dialer.exchange.server import Exchange
from tests.dialer.scenes import Play, Scene

SPEED = 20.0
SECRET = SecretStr("lab")


class Loopback:
    """A loopback exchange whose people are a scene's."""

    speed = SPEED

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.address = Address(exchange.host, exchange.port, exchange.username, SECRET)

    def call_in(self, scene: Scene) -> None:
        """Let the scene's customer call the firm."""
        self.exchange.call_in("sales", "5551234", scene.customer)


@asynccontextmanager
async def loopback(scene: Scene) -> AsyncIterator[Loopback]:
    """Open a loopback exchange with a scene's people, and the queues of the templates."""
    async with Exchange(
        username="bridge",
        secret=SECRET,
        people=scene.people.__getitem__,
        speed=SPEED,
        queues={"sales": 0, "support": 0},
    ) as exchange:
        yield Loopback(exchange)


async def play(scene: Scene) -> list[Message]:
    """Play a scene on a loopback exchange; return what it told."""
    async with loopback(scene) as stage:
        return await Play(stage, scene).run()
