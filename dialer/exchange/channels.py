"""Channels and bridges of a loopback exchange, and how they show in events."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from dialer.exchange.people import Party

STATES = {"Down": 0, "Ring": 4, "Ringing": 5, "Up": 6}
CAUSES = {
    0: "Unknown", 1: "Unallocated (unassigned) number", 16: "Normal Clearing", 17: "User busy",
    19: "User alerting, no answer", 21: "Call Rejected", 34: "Circuit/channel congestion",
}  # fmt: skip
UNKNOWN = "<unknown>"
SHOWN = ("DIALER_CALL_ID", "DIALER_LEAD_ID", "AMDSTATUS", "QUEUESTATUS")
"""Variables on every event of a channel (`channelvars` in manager.conf)."""


@dataclass(eq=False)
class Channel:
    """One party's connection. `left` is settled when whatever it does now is over: hung up, or sent elsewhere.

    `dialled` is the dial string it was made with. `half` is the other end of a local channel: they live and die
    together. `before_gone` is called just before it is hung up.
    """

    name: str
    uniqueid: str
    linkedid: str
    dialled: str
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
    half: "Channel | None" = None
    is_gone: bool = False
    is_cut: bool = False
    """It was hung up from outside, not by its party."""
    is_muted: bool = False
    is_held: bool = False
    """Its own telephone has put whoever it talks with on hold."""
    is_recorded: bool = False
    before_gone: Callable[[], None] | None = None
    work: "asyncio.Task[None] | None" = None
    """What its dialplan does."""
    left: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def call_id(self) -> str:
        """Santral's id of the call, as the variable says; empty for a call that came in."""
        return self.variables.get("DIALER_CALL_ID", "")

    @property
    def others(self) -> "list[Channel]":
        """Whoever else is in its bridge."""
        return [each for each in self.bridge.channels if each is not self] if self.bridge else []

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
    """Channels that hear each other; `room` is the name of the conference it is, if it is one."""

    id: str
    room: str = ""
    channels: list[Channel] = field(default_factory=list)

    def shown(self, prefix: str = "") -> list[tuple[str, str]]:
        """Return it as headers of an event, each with a prefix."""
        headers = [
            ("BridgeUniqueid", self.id), ("BridgeType", "base" if self.room else "basic"),
            ("BridgeTechnology", "softmix" if self.room else "simple_bridge"),
            ("BridgeCreator", "ConfBridge" if self.room else UNKNOWN), ("BridgeName", self.room or UNKNOWN),
            ("BridgeNumChannels", str(len(self.channels))), ("BridgeVideoSourceMode", "none"),
        ]  # fmt: skip
        return [(prefix + header, value) for header, value in headers]
