"""Calls as scenes: who behaves how and what is asked meanwhile, played on whatever exchange, and what it told."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from crm.calls.story import Direction, Story, tell
from dialer.ami.connection import Address, Connection, Limits, Up
from dialer.ami.messages import Message
from dialer.exchange.people import Party
from tests.dialer.ami.test_translate import facts_of, of_call

NUMBER = "70010106"
CUSTOMER = f"PJSIP/{NUMBER}@carrier"
PHONES = ("PJSIP/agent-1", "PJSIP/agent-2", "PJSIP/agent-3")
BRIDGES = frozenset({"BridgeEnter", "BridgeLeave"})
FAMILIES = BRIDGES | {
    "DialBegin", "DialEnd", "OriginateResponse", "QueueCallerJoin", "QueueCallerLeave", "QueueCallerAbandon",
    "AgentCalled", "AgentConnect", "AgentComplete", "AgentRingNoAnswer", "Hangup", "UserEvent", "Hold", "BlindTransfer",
    "AttendedTransfer", "BridgeMerge", "ChanSpyStart", "ChanSpyStop", "ConfbridgeStart", "ConfbridgeJoin",
    "ConfbridgeLeave", "ConfbridgeEnd", "MixMonitorStart",
}  # fmt: skip
TELLING = {
    "DialEnd": ("dialstatus",), "OriginateResponse": ("response", "reason"), "Hangup": ("cause", "channelstatedesc"),
    "AgentComplete": ("reason",), "QueueCallerJoin": ("queue", "position"), "QueueCallerLeave": ("queue",),
    "UserEvent": ("userevent", "queuestatus", "dialstatus", "hangupcause"), "BlindTransfer": ("result",),
    "AttendedTransfer": ("result",),
}  # fmt: skip
"""The headers of an event that say what happened."""


@dataclass(frozen=True)
class Act:
    """Something asked, so long after the one before; `{customer}` and the like stand for ids of channels."""

    after_s: float
    name: str
    fields: Mapping[str, object]
    variables: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """A call and its people. `members`: which of the agents are in the queue `sales`.

    `is_loose`: a transfer by local channels, which Asterisk optimises away this way or that: bridges are not compared.
    """

    recording: str
    call_id: str
    direction: Direction
    customer: Party
    agents: tuple[Party, ...] = ()
    context: str = "predictive"
    variables: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 30
    is_paused: bool = False
    members: tuple[str, ...] | None = None
    acts: tuple[Act, ...] = ()
    is_loose: bool = False

    @property
    def people(self) -> dict[str, Party]:
        """Who is behind which dial string."""
        return {CUSTOMER: self.customer, **dict(zip(PHONES, self.agents, strict=False))}


class Stage(Protocol):
    """An exchange to play on."""

    address: Address
    speed: float

    def call_in(self, scene: Scene) -> None:
        """Let the scene's customer call the firm."""


class Play:
    """One performance: what was heard, and which channels there were."""

    def __init__(self, stage: Stage, scene: Scene) -> None:
        self.stage = stage
        self.scene = scene
        self.call_id = scene.call_id
        self.heard: list[Message] = []
        self.connection = Connection(stage.address, limits=Limits(probe_every=60))
        self._is_up = asyncio.Event()

    async def run(self) -> list[Message]:
        """Play from the first word to the last channel's end; return what was told."""
        stop = asyncio.Event()
        works = [asyncio.create_task(self.connection.run(stop)), asyncio.create_task(self._listen())]
        try:
            async with asyncio.timeout(90):
                await self._is_up.wait()
                await self._begin()
                for act in self.scene.acts:
                    await asyncio.sleep(act.after_s / self.stage.speed)
                    await self._ask(act)
                await self._until_over()
        finally:
            stop.set()
            await works[0]
            works[1].cancel()
        return self.heard

    async def _listen(self) -> None:
        async for item in self.connection.heard():
            if isinstance(item, Up):
                self._is_up.set()
            elif isinstance(item, Message):
                self.heard.append(item)

    async def _begin(self) -> None:
        scene = self.scene
        by_default = PHONES[: len(scene.agents)] if scene.direction is not Direction.agent_first else ()
        for phone in by_default if scene.members is None else scene.members:
            paused = "true" if scene.is_paused else "false"
            member = {"Queue": "sales", "Interface": phone, "MemberName": phone, "Paused": paused}
            await self.connection.say("QueueAdd", member)
        if scene.direction is Direction.inbound:
            self.stage.call_in(scene)
            await self._until(lambda: self._arrived())
            return
        is_click = scene.direction is Direction.agent_first
        await self.connection.say(
            "Originate",
            {
                "Channel": PHONES[0] if is_click else CUSTOMER, "ChannelId": scene.call_id, "Async": "true",
                "Context": scene.context, "Exten": NUMBER if is_click else "sales", "Priority": 1,
                "Timeout": int(scene.timeout_s * 1000), "CallerID": '"Lead 42" <5550100042>',
            },
            variables={"__DIALER_CALL_ID": scene.call_id, **dict(scene.variables)},
        )  # fmt: skip

    def _arrived(self) -> bool:
        self.call_id = next((m["linkedid"] for m in self.heard if m["userevent"] == "Arrived"), "")
        return bool(self.call_id)

    async def _ask(self, act: Act) -> None:
        legs = self._legs()
        fields = {name: value.format(**legs) if isinstance(value, str) else value for name, value in act.fields.items()}
        await self.connection.say(act.name, fields, variables=act.variables)

    def _legs(self) -> dict[str, str]:
        """Return the ids of the call's legs by role, and the channels' names."""
        legs = {"call": self.call_id}
        for message in self.heard:
            if message.event == "Newchannel" and message["linkedid"] == self.call_id:
                role = message["channel"].rpartition("-")[0].removeprefix("PJSIP/").replace("-", "")
                role = role if role.startswith(("agent", "Local")) else "customer"
                legs.setdefault(role, message["uniqueid"])
                legs.setdefault(f"{role}_name", message["channel"])
        return legs

    async def _until(self, question) -> None:
        while not question():
            await asyncio.sleep(0.02)

    async def _until_over(self) -> None:
        """Wait until every channel is gone and everything about them is told, then leave the queue empty."""
        await self._until(lambda: any(m.event in ("Hangup", "OriginateResponse") for m in self.heard))
        while await self.connection.ask("CoreShowChannels"):
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)  # what comes after the last leg's end
        for row in await self.connection.ask("QueueStatus"):
            if row.event == "QueueMember":
                await self.connection.say("QueueRemove", {"Queue": row["queue"], "Interface": row["location"]})


def called(scene: Scene, messages: Iterable[Message]) -> str:
    """Return the id of the scene's call in what was told: a call that came in has the exchange's own."""
    if scene.direction is not Direction.inbound:
        return scene.call_id
    return next(m["linkedid"] for m in messages if m["userevent"] == "Arrived")


def story(scene: Scene, messages: Iterable[Message]) -> Story:
    """Return what a scene's call was, from what was told."""
    messages = list(messages)
    call_id = called(scene, messages)
    return tell(call_id, scene.direction, of_call(call_id, facts_of(messages)))


def skeleton(scene: Scene, messages: Iterable[Message]) -> Counter[tuple[str, ...]]:
    """Return what was told of a call's legs, by role and by what it says, in whatever order.

    Left out are the second halves of local channels and the far ends' own legs, which a real carrier does not show.
    """
    messages = list(messages)
    call_id = called(scene, messages)
    roles = {call_id: "call", "": "nobody", f"{call_id}-b": "half"}
    found: Counter[tuple[str, ...]] = Counter()
    for message in messages:
        if message.event not in FAMILIES or message["channel"].endswith(";2") or _is_of_others(message, call_id):
            continue
        if scene.is_loose and (message.event in BRIDGES or "Local/" in message["channel"] + message["destchannel"]):
            continue
        about = message["destuniqueid"] if message.event.startswith("Dial") else message["uniqueid"]
        role = roles.get(about, "other")
        if role != "half":
            found[(message.event, role, *(message[name] for name in TELLING.get(message.event, ())))] += 1
    return found


def _is_of_others(message: Message, call_id: str) -> bool:
    if message.event == "OriginateResponse":
        return message["uniqueid"] != call_id
    call = message["destlinkedid"] or message["linkedid"]
    return bool(call) and call != call_id
