"""A loopback exchange's log of its queues, in a file like a real one's `queue_log`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dialer.exchange.switchboard import Header, Switchboard

Values = Callable[[Mapping[str, str]], Sequence[str]]

LINES: dict[str, tuple[str, Values]] = {
    "QueueCallerJoin": ("ENTERQUEUE", lambda told: ["", "", told["Position"]]),
    "QueueCallerAbandon": ("ABANDON", lambda told: [told["Position"], told["OriginalPosition"], told["HoldTime"]]),
    "AgentRingNoAnswer": ("RINGNOANSWER", lambda told: [told["RingTime"]]),
    "AgentConnect": ("CONNECT", lambda told: [told["HoldTime"], told["DestUniqueid"], told["RingTime"]]),
    "AgentComplete": ("COMPLETE", lambda told: [told["HoldTime"], told["TalkTime"], "1"]),
}
"""Which event is which line, and the values of it."""


class QueueLog:
    """Writes a line for what the exchange tells of its queues, whoever listens."""

    def __init__(self, board: Switchboard, file: Path) -> None:
        self.board = board
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)

    def write(self, headers: Sequence[Header]) -> None:
        """Write an event's line, where it has one."""
        told = dict(headers)
        if told.get("Event") not in LINES:
            return
        name, values = LINES[told["Event"]]
        if name == "COMPLETE":
            name += told["Reason"].upper()
        elif name == "ABANDON" and (caller := self.board.channels.get(told["Uniqueid"])) and not caller.is_gone:
            name = "EXITWITHTIMEOUT"  # the event does not tell the two apart, the log does
        words = [str(int(self.board.now())), told["Uniqueid"], told["Queue"], told.get("Interface", "NONE"), name]
        with self.file.open("a") as file:
            file.write("|".join([*words, *values(told)]) + "\n")
