"""How the parties of a loopback exchange behave when they are called. Seconds are the exchange's own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What a party does when called."""

    answers = "answers"
    machine = "machine"
    busy = "busy"
    silent = "silent"
    rejects = "rejects"
    congestion = "congestion"
    unallocated = "unallocated"
    absent = "absent"
    """There is no such extension at all."""


@dataclass(frozen=True, slots=True)
class Party:
    """Rings so long, then does that; hangs up so long after the answer, or sooner when nobody speaks (`patience_s`)."""

    answer: Answer = Answer.answers
    rings_s: float = 1.0
    stays_s: float = 60.0
    patience_s: float = 120.0
    presses_after_s: float | None = None
    """After so many seconds in a queue they press the key to be called back; None: never."""


People = Callable[[str], Party]
"""Who is behind a dial string, as `PJSIP/905321234567@carrier` or `PJSIP/agent-7`."""

MIX = (
    (0.30, Answer.answers), (0.45, Answer.machine), (0.90, Answer.silent), (0.95, Answer.busy),
    (0.98, Answer.unallocated), (1.00, Answer.congestion),
)  # fmt: skip


def crowd(dial_string: str) -> Party:
    """Return who is behind a number, always the same: three in ten answer, agents always do."""
    if "@" not in dial_string:
        return Party(rings_s=1.0, stays_s=3600)
    chance = [byte / 256 for byte in hashlib.sha256(dial_string.encode()).digest()]
    answer = next(each for share, each in MIX if chance[0] < share)
    return Party(answer, rings_s=4 + 16 * chance[1], stays_s=20 + 300 * chance[2] ** 3, patience_s=5 + 60 * chance[3])
