"""The loopback exchange and the recorded real one, held to the same promise: the same calls tell the same events."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from crm.calls.story import tell
from dialer.ami.connection import Address, Connection, Limits, Up
from dialer.ami.messages import Message
from dialer.exchange.people import Answer, Party
from dialer.exchange.server import Exchange
from tests.dialer.ami.recordings import from_server
from tests.dialer.ami.test_translate import AGENT, CUSTOMER, Direction, facts_of, of_call

SPEED = 20.0
NUMBER = "70010106"
CUSTOMER_STRING = f"PJSIP/{NUMBER}@carrier"
PHONE = "PJSIP/agent-1"
OTHER_PHONE = "PJSIP/agent-2"
FAMILIES = frozenset(
    {
        "DialBegin", "DialEnd", "OriginateResponse", "QueueCallerJoin", "QueueCallerLeave", "QueueCallerAbandon",
        "AgentCalled", "AgentConnect", "AgentComplete", "AgentRingNoAnswer", "BridgeEnter", "BridgeLeave", "Hangup",
        "UserEvent",
    }
)  # fmt: skip
TELLING = {
    "DialEnd": ("dialstatus",), "OriginateResponse": ("response", "reason"), "Hangup": ("cause", "channelstatedesc"),
    "AgentComplete": ("reason",), "QueueCallerJoin": ("queue", "position"), "UserEvent": ("userevent", "queuestatus"),
}  # fmt: skip
"""The headers of an event that say what happened."""


@dataclass(frozen=True)
class Scene:
    """A recorded call, and how the loopback exchange's people must behave to make it again."""

    recording: str
    call_id: str
    direction: Direction
    customer: Party
    agents: tuple[Party, ...] = ()
    context: str = "predictive"
    variables: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 30
    hangs_up_after_s: float | None = None
    is_paused: bool = False


PICKS_UP = Party(rings_s=1, stays_s=600)
SILENT = Party(Answer.silent)
PATIENT = (("DIALER_QUEUE_SECS", "60"),)
SCENES = [
    Scene("b_busy_predictive_sip", "call-b-ve_sip", CUSTOMER, Party(Answer.busy)),
    Scene("c_noanswer_predictive_sip", "call-c-ve_sip", CUSTOMER, Party(Answer.silent), timeout_s=4),
    Scene("c_rejected_predictive_sip", "call-c-ve_sip", CUSTOMER, Party(Answer.rejects)),
    Scene("d_congestion_predictive_sip", "call-d-ve_sip", CUSTOMER, Party(Answer.congestion)),
    Scene("d_unallocated_predictive_sip", "call-d-ve_sip", CUSTOMER, Party(Answer.unallocated)),
    Scene("i_cancel_while_ringing", "call-i2", CUSTOMER, Party(rings_s=20), hangs_up_after_s=1),
    Scene("e_predictive_queue_connect_sip", "call-e", CUSTOMER, Party(stays_s=5), (PICKS_UP,)),
    Scene(
        "e_predictive_queue_ringnoanswer", "call-e3", CUSTOMER, Party(stays_s=8), (SILENT, PICKS_UP), variables=PATIENT
    ),
    Scene("e_predictive_amd", "call-amd-human", CUSTOMER, Party(stays_s=13), (PICKS_UP,), context="predictive-amd"),
    Scene(
        "e_predictive_amd", "call-amd-machine", CUSTOMER, Party(Answer.machine), (PICKS_UP,), context="predictive-amd"
    ),
    Scene(
        "f_predictive_abandon", "call-f", CUSTOMER, Party(patience_s=5), (PICKS_UP,), is_paused=True, variables=PATIENT
    ),
    Scene("f_predictive_join_empty", "call-f3", CUSTOMER, Party()),
    Scene("a_click_to_call_answered_sip", "call-asip", AGENT, Party(rings_s=2, stays_s=5), (PICKS_UP,), "outbound"),
    Scene("a_click_to_call_agent_no_answer", "call-ana", AGENT, Party(), (SILENT,), "outbound", timeout_s=3),
    Scene("b_busy_click_sip", "call-b-ck_sip", AGENT, Party(Answer.busy), (PICKS_UP,), "outbound"),
]  # fmt: skip


async def play(scene: Scene) -> list[Message]:
    """Make a scene's call on a loopback exchange; return what it told."""
    phones = (PHONE, OTHER_PHONE)
    people = {CUSTOMER_STRING: scene.customer, **dict(zip(phones, scene.agents, strict=False))}
    async with Exchange(username="bridge", secret=SecretStr("lab"), people=people.__getitem__, speed=SPEED) as exchange:
        stop = asyncio.Event()
        address = Address("127.0.0.1", exchange.port, "bridge", SecretStr("lab"))
        connection = Connection(address, limits=Limits(probe_every=60))
        running = asyncio.create_task(connection.run(stop))
        heard = connection.heard()
        assert isinstance(await anext(heard), Up)
        await ask(connection, scene)
        messages = await until_over(heard, scene, connection)
        stop.set()
        await running
    return messages


async def ask(connection: Connection, scene: Scene) -> None:
    if scene.direction is CUSTOMER:
        for phone, _ in zip((PHONE, OTHER_PHONE), scene.agents, strict=False):
            member = {"Queue": "sales", "Interface": phone, "MemberName": phone}
            await connection.say("QueueAdd", member | {"Paused": "true" if scene.is_paused else "false"})
    is_click = scene.direction is AGENT
    await connection.say(
        "Originate",
        {
            "Channel": PHONE if is_click else CUSTOMER_STRING, "ChannelId": scene.call_id, "Async": "true",
            "Context": scene.context, "Exten": NUMBER if is_click else "sales", "Priority": 1,
            "Timeout": int(scene.timeout_s * 1000), "CallerID": '"Lead 42" <5550100042>',
        },
        variables={"__DIALER_CALL_ID": scene.call_id, **dict(scene.variables)},
    )  # fmt: skip


async def until_over(heard: AsyncIterator[object], scene: Scene, connection: Connection) -> list[Message]:
    """Listen until the call's own leg has ended and everything about it is told."""
    messages: list[Message] = []
    if scene.hangs_up_after_s is not None:
        await asyncio.sleep(scene.hangs_up_after_s / SPEED)
        await connection.say("Hangup", {"Channel": scene.call_id, "Cause": 16})
    async with asyncio.timeout(20):
        while True:
            item = await anext(heard)
            assert isinstance(item, Message)
            messages.append(item)
            if item.event == "Hangup" and item["uniqueid"] == scene.call_id:
                break
    try:
        async with asyncio.timeout(0.3):
            while True:
                messages.append(await anext(heard))  # what comes after the last leg's end
    except TimeoutError:
        return messages


def skeleton(messages: Iterable[Message], scene: Scene) -> Counter[tuple[str, ...]]:
    """Return what was told of a call's legs, by role and by what it says, in whatever order.

    Left out are the second halves of local channels and the far ends' own legs, which a real carrier does not show.
    """
    kept = [m for m in messages if m.event in FAMILIES and not m["channel"].endswith(";2")]
    roles = {scene.call_id: "call", "": "nobody", f"{scene.call_id}-b": "half"}
    found: Counter[tuple[str, ...]] = Counter()
    for message in kept:
        about = message["destuniqueid"] if message.event.startswith("Dial") else message["uniqueid"]
        call = message["destlinkedid"] or message["linkedid"]
        if message.event != "OriginateResponse" and call != scene.call_id:
            continue
        if message.event == "OriginateResponse" and message["uniqueid"] != scene.call_id:
            continue
        role = roles.get(about, "other")
        if role != "half":
            found[(message.event, role, *(message[name] for name in TELLING.get(message.event, ())))] += 1
    return found


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.recording}-{scene.call_id}")
async def test_tells_what_the_real_one_told(scene, recordings):
    recorded = list(from_server(recordings / f"{scene.recording}.txt"))

    told = await play(scene)

    assert skeleton(told, scene) == skeleton(recorded, scene)
    real = tell(scene.call_id, scene.direction, of_call(scene.call_id, facts_of(recorded)))
    ours = tell(scene.call_id, scene.direction, of_call(scene.call_id, facts_of(told)))
    assert (ours.outcome, ours.cause, ours.verdict) == (real.outcome, real.cause, real.verdict)
    assert [(stay.queue, stay.end, len(stay.missed)) for stay in ours.visits] == [
        (stay.queue, stay.end, len(stay.missed)) for stay in real.visits
    ]
    assert (ours.connected_at is None) == (real.connected_at is None)


async def test_speaks_with_the_headers_of_the_real_one(recordings):
    """Whatever header an event of ours has, the real event has too."""
    real: dict[str, set[str]] = {}
    for path in recordings.glob("*.txt"):
        for message in from_server(path):
            real.setdefault(message.event, set()).update(message.fields)
    told: dict[str, set[str]] = {}
    for scene in (SCENES[6], SCENES[7], SCENES[8], SCENES[10], SCENES[14]):
        for message in await play(scene):
            told.setdefault(message.event, set()).update(message.fields)

    assert {(event, name) for event, names in told.items() for name in names - real.get(event, set())} == set()
