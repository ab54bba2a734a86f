"""Queues of a loopback exchange: who waits, in which order, and who may be called for them."""

from dataclasses import dataclass, field

from dialer.exchange.channels import Channel

NOT_IN_USE, BUSY, UNAVAILABLE = 1, 3, 5
"""Device states as `Status` tells them; a telephone that rings is busy, too (`device_state_busy_at = 1`)."""


@dataclass(eq=False)
class Member:
    """An agent's place in a queue. `last_tried` is when the queue last rang them."""

    interface: str
    name: str
    penalty: int = 0
    is_paused: bool = False
    reason: str = ""
    calls_taken: int = 0
    last_call: float = 0.0
    last_tried: float = 0.0
    is_in_call: bool = False

    def shown(self, queue: str, status: int) -> list[tuple[str, str]]:
        """Return it as headers of an event."""
        return [
            ("Queue", queue), ("MemberName", self.name), ("Interface", self.interface),
            ("StateInterface", self.interface), ("Membership", "dynamic"), ("Penalty", str(self.penalty)),
            ("CallsTaken", str(self.calls_taken)), ("LastCall", str(int(self.last_call))), ("LastPause", "0"),
            ("LoginTime", "0"), ("InCall", str(int(self.is_in_call))), ("Status", str(status)),
            ("Paused", str(int(self.is_paused))), ("PausedReason", self.reason), ("Ringinuse", "0"),
            ("Wrapuptime", "0"),
        ]  # fmt: skip


@dataclass(eq=False)
class Entry:
    """A caller who waits. `original`: the position at joining."""

    channel: Channel
    priority: int
    joined: float
    original: int = 0
    is_ringing: bool = False


@dataclass(eq=False)
class Queue:
    """Callers by priority and then by when they joined, and the agents there are."""

    name: str
    weight: int = 0
    waiting: list[Entry] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    completed: int = 0
    abandoned: int = 0

    def put(self, entry: Entry) -> int:
        """Place a caller behind everybody of the same or a higher priority; return the position, from 1."""
        ahead = sum(each.priority >= entry.priority for each in self.waiting)
        self.waiting.insert(ahead, entry)
        return ahead + 1

    def entry(self, channel: Channel) -> Entry | None:
        """Return a channel's place, None when it does not wait here."""
        return next((each for each in self.waiting if each.channel is channel), None)

    def position(self, entry: Entry) -> int:
        """Return where a caller stands, from 1."""
        return self.waiting.index(entry) + 1

    def next(self) -> Entry | None:
        """Return whose turn it is: the first for whom no telephone rings yet."""
        return next((each for each in self.waiting if not each.is_ringing), None)
