"""People who call a loopback exchange by themselves, for the demo."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from dialer.exchange.people import Party
from dialer.exchange.switchboard import Switchboard

OURS = "+902120000000"
"""The number of ours that is called."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """So many calls a minute (a Poisson process), each to one of the queues that has agents just then."""

    calls_per_minute: float
    numbers: Sequence[str] = ()
    """Who calls; without any, numbers that nobody has (+90 500 000 ...)."""
    seed: int = 0
    talk_s: float = 90.0
    patience_s: float = 60.0

    async def run(self, board: Switchboard) -> None:
        """Call in until cancelled."""
        chance = random.Random(self.seed)
        while self.calls_per_minute > 0:
            await board.pause(chance.expovariate(self.calls_per_minute / 60))
            queues = sorted(name for name, queue in board.queues.items() if queue.members)
            if queues:
                number = chance.choice(self.numbers) if self.numbers else f"+90500000{chance.randrange(10_000):04}"
                stays_s, patience_s = (chance.expovariate(1 / each) for each in (self.talk_s, self.patience_s))
                call_in(board, number, chance.choice(queues), Party(stays_s=stays_s, patience_s=patience_s))


def call_in(board: Switchboard, number: str, queue: str, party: Party | None = None) -> str:
    """Let somebody call in for a queue; return the unique id of their channel."""
    channel = board.make(f"PJSIP/{number}@carrier", context="from-carrier", exten=OURS, state="Ring", party=party)
    channel.caller = (number, "<unknown>")
    channel.variables["DIALER_FROM"] = number
    board.of_channel("UserEvent", channel, ("UserEvent", "Arrived"), ("Queue", queue))
    board.run(channel, "inbound", queue)
    return channel.uniqueid
