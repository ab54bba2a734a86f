"""What an exchange, or the way to it, may do to what it tells: say it twice, late, in part, or tell of other calls."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Header = tuple[str, str]
Telling = tuple[float, list[Header]]
"""After how many seconds what is told."""


@dataclass(frozen=True, slots=True)
class Lies:
    """Shares of messages, from 0 to 1, of which each thing comes true; the same `seed` lies the same."""

    seed: int = 0
    twice: float = 0.0
    late: float = 0.0
    late_s: float = 1.0
    """Up to how late, in real seconds."""
    torn: float = 0.0
    foreign: float = 0.0


class Liar:
    """Turns each message into what is told in its place."""

    def __init__(self, lies: Lies) -> None:
        self.lies = lies
        self.random = random.Random(lies.seed)

    def of(self, headers: Sequence[Header]) -> Iterator[Telling]:
        """Yield what is told instead: at least the message itself, unless it is torn in two."""
        lies, chance = self.lies, self.random.random
        wait = self.random.uniform(0, lies.late_s) if chance() < lies.late else 0.0
        kept = list(headers)
        if chance() < lies.torn:
            kept = kept[: self.random.randint(1, len(kept))]
        yield wait, kept
        if chance() < lies.twice:
            yield wait, list(kept)
        if chance() < lies.foreign:
            yield 0.0, self._foreign(kept)

    def _foreign(self, headers: list[Header]) -> list[Header]:
        """Tell the same of somebody else's call, in words that nobody knows, or nonsense in place of numbers."""
        changed = {"Uniqueid", "Linkedid", "DestUniqueid", "DestLinkedid", "UniqueID"}
        of_others = [(name, f"x-{value}" if name in changed else value) for name, value in headers]
        return self.random.choice(
            [of_others, [("Event", "Nonsense"), *headers[1:]], [*headers, ("HoldTime", "soon"), ("Cause", "unclear")]]
        )
