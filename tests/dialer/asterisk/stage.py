"""A real Asterisk as a stage for scenes."""

from dataclasses import replace

from dialer.ami.connection import Address
from dialer.ami.messages import Message
from dialer.exchange.people import Party
from tests.dialer.asterisk.lab import SECRET, Lab
from tests.dialer.scenes import NUMBER, Play, Scene


class Live:
    """A laboratory's Asterisk whose people are a scene's."""

    speed = 1.0

    def __init__(self, lab: Lab, scene: Scene) -> None:
        self.lab = lab
        self.address = Address("127.0.0.1", lab.ami, "santral", SECRET)
        lab.people({_extension(dialled): _present(scene, party) for dialled, party in scene.people.items()})

    def call_in(self, scene: Scene) -> None:
        """Let the scene's customer call the firm."""
        self.lab.call_in(_present(scene, scene.customer).stays_s)


def _extension(dialled: str) -> str:
    return NUMBER if "@" in dialled else dialled.removeprefix("PJSIP/")


def _present(scene: Scene, party: Party) -> Party:
    """Return a party that hangs up by itself in time: one that nobody speaks with has its patience alone."""
    return replace(party, stays_s=party.patience_s) if scene.is_paused and party is scene.customer else party


async def play(lab: Lab, scene: Scene) -> list[Message]:
    """Play a scene on a real Asterisk; return what it told."""
    return await Play(Live(lab, scene), scene).run()
