"""Channels, bridges and queues of a loopback exchange, and how they show in events."""

import asyncio
from dataclasses import dataclass, field

from dialer.exchange.people import Party

STATES = {"Down": 0, "Ring": 4, "Ringing": 5, "Up": 6}
CAUSES = {
    0: "Unknown", 1: "Unallocated (unassigned) number", 16: "Normal Clearing", 17: "User busy",
    19: "User alerting, no answer", 21: "Call Rejected", 34: "Circuit/channel congestion",
}  # fmt: skip
UNKNOWN = "<unknown>"
SHOWN = ("DIALER_CALL_ID", "DIALER_LEAD_ID", "DIALER_LEG", "AMDSTATUS", "QUEUESTATUS")
"""Variables on every event of a channel (`channelvars` in manager.conf)."""


@dataclass(eq=False)
class Channel:
    """One party's connection. `left` is settled when whatever it does now is over: hung up, or sent elsewhere."""

    name: str
    uniqueid: str
    linkedid: str
    context: str
    exten: str
    party: Party
    began: float
    variables: dict[str, str] = field(default_factory=dict)
    caller: tuple[str, str] = (UNKNOWN, UNKNOWN)
    state: str = "Down"
    cause: int = 0
    answered: float | None = None
    bridge: "Bridge | None" = None
    is_gone: bool = False
    left: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def leave(self, why: str) -> None:
        """Say that what it does now is over."""
        if not self.left.done():
            self.left.set_result(why)

    def is_free(self, left: "asyncio.Future[str]") -> bool:
        """Return whether it is still at what it did when `left` was its `left`, or done with that and at nothing."""
        return not self.is_gone and self.left is left and not (left.done() and left.result() == "sent")

    def shown(self, prefix: str = "") -> list[tuple[str, str]]:
        """Return it as headers of an event, each with a prefix."""
        number, name = self.caller
        headers = [
            ("Channel", self.name), ("ChannelState", str(STATES[self.state])), ("ChannelStateDesc", self.state),
            ("CallerIDNum", number), ("CallerIDName", name), ("ConnectedLineNum", number),
            ("ConnectedLineName", name), ("Language", "en"), ("AccountCode", ""), ("Context", self.context),
            ("Exten", self.exten), ("Priority", "1"), ("Uniqueid", self.uniqueid), ("Linkedid", self.linkedid),
        ]  # fmt: skip
        headers += [("ChanVariable", f"{name}={self.variables.get(name, '')}") for name in SHOWN]
        return [(prefix + header, value) for header, value in headers]


@dataclass(eq=False)
class Bridge:
    """Channels that hear each other."""

    id: str
    channels: list[Channel] = field(default_factory=list)

    def shown(self) -> list[tuple[str, str]]:
        """Return it as headers of an event."""
        return [
            ("BridgeUniqueid", self.id), ("BridgeType", "basic"), ("BridgeTechnology", "simple_bridge"),
            ("BridgeCreator", UNKNOWN), ("BridgeName", UNKNOWN), ("BridgeNumChannels", str(len(self.channels))),
            ("BridgeVideoSourceMode", "none"),
        ]  # fmt: skip


@dataclass(eq=False)
class Member:
    """An agent's place in a queue."""

    interface: str
    name: str
    penalty: int = 0
    is_paused: bool = False
    reason: str = ""
    calls_taken: int = 0
    last_call: float = 0.0
    is_busy: bool = False

    def shown(self, queue: str) -> list[tuple[str, str]]:
        """Return it as headers of an event."""
        return [
            ("Queue", queue), ("MemberName", self.name), ("Interface", self.interface),
            ("StateInterface", self.interface), ("Membership", "dynamic"), ("Penalty", str(self.penalty)),
            ("CallsTaken", str(self.calls_taken)), ("LastCall", str(int(self.last_call))), ("LastPause", "0"),
            ("LoginTime", "0"), ("InCall", str(int(self.is_busy))), ("Status", "2" if self.is_busy else "1"),
            ("Paused", str(int(self.is_paused))), ("PausedReason", self.reason), ("Ringinuse", "0"),
            ("Wrapuptime", "0"),
        ]  # fmt: skip


@dataclass(eq=False)
class Queue:
    """Callers that wait, in order, and the agents there are."""

    name: str
    waiting: list[Channel] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    completed: int = 0
    abandoned: int = 0

    def free(self) -> Member | None:
        """Return the agent who has been free for longest."""
        able = [each for each in self.members.values() if not each.is_paused and not each.is_busy]
        return min(able, key=lambda each: (each.penalty, each.last_call), default=None)
