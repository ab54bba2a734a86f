"""Scenes by our own dialplan that the older recordings do not have: transfers, conferences, listening, other queues.

Each was recorded from Asterisk 22.10 with the templates of `dialer/asterisk`: `python -m tests.dialer.asterisk.record`.
"""

from crm.calls.story import Direction
from dialer.exchange.people import Answer, Party
from tests.dialer.scenes import PHONES, Act, Scene

AGENT, CUSTOMER, IN = Direction.agent_first, Direction.customer_first, Direction.inbound
ROOM = "01900000-0000-7000-8000-000000000000"
STAYS = Party(rings_s=0.5, stays_s=60, patience_s=60)
BRIEF = Party(rings_s=0.5, stays_s=6, patience_s=60)
SILENT = Party(Answer.silent)
RECORDED = (("DIALER_RECORD", "1"),)
HASTY = (("DIALER_QUEUE_SECS", "2"),)
PATIENT = (("DIALER_QUEUE_SECS", "60"),)


def hang_up(leg: str, after_s: float = 2) -> Act:
    """End a leg."""
    return Act(after_s, "Hangup", {"Channel": leg, "Cause": 16})


def click(
    name: str, *acts: Act, customer: Party = STAYS, others: tuple[Party, ...] = (), **more: object
) -> Scene:  # fmt: skip
    """Return a click-to-call in which something is asked for."""
    agents = (STAYS, *others)
    return Scene(name, f"call-{name}", AGENT, customer, agents, "outbound", acts=acts, **more)  # type: ignore[arg-type]


ASK_COLLEAGUE = Act(2.5, "Atxfer", {"Channel": "{agent1}", "Context": "agents", "Exten": "2"})
HOLD = Act(
    2.5, "Redirect",
    {"Channel": "{customer}", "Context": "hold", "Exten": "s", "Priority": 1, "ExtraChannel": "{agent1}",
     "ExtraContext": "park", "ExtraExten": "s", "ExtraPriority": 1},
)  # fmt: skip
MEET = Act(
    2.5, "Redirect",
    {"Channel": "{customer}", "Context": "conference", "Exten": ROOM, "Priority": 1, "ExtraChannel": "{agent1}",
     "ExtraContext": "conference", "ExtraExten": ROOM, "ExtraPriority": 1},
)  # fmt: skip
JOIN = Act(
    1, "Originate",
    {"Channel": PHONES[1], "ChannelId": "leg-joins", "Context": "conference", "Exten": ROOM, "Priority": 1,
     "Async": "true", "Timeout": 20_000},
)  # fmt: skip
LISTEN = Act(
    2.5, "Originate",
    {"Channel": PHONES[1], "ChannelId": "leg-listens", "Application": "ChanSpy", "Data": "{agent1},quSE",
     "Async": "true", "Timeout": 20_000},
)  # fmt: skip
MUTE = Act(2.5, "Setvar", {"Channel": "{agent1}", "Variable": "MUTEAUDIO(in)", "Value": "on"})
TONE = Act(0.5, "PlayDTMF", {"Channel": "{customer}", "Digit": "5"})
MOVE = Act(1.5, "Redirect", {"Channel": "{customer}", "Context": "inbound", "Exten": "support", "Priority": 1})
FIRST = Act(1.5, "QueueChangePriorityCaller", {"Queue": "sales", "Caller": "{customer_name}", "Priority": 5})


def blind(context: str, exten: str) -> Act:
    """Give the customer away."""
    fields = {"Channel": "{agent1}", "Context": context, "Exten": exten}
    return Act(2.5, "BlindTransfer", fields)


SCENES = [
    click("customer_hangs_up", customer=BRIEF, variables=RECORDED),
    click("cancelled_while_it_rings", hang_up("{agent1}", 2.5), customer=Party(rings_s=20)),
    click("nobody_answers", customer=SILENT, variables=(("DIALER_RING_SECS", "3"),)),
    click("attended", ASK_COLLEAGUE, hang_up("{agent1}", 5), hang_up("{agent2}"), others=(STAYS,), is_loose=True),
    click("attended_busy", ASK_COLLEAGUE, hang_up("{agent1}", 8), others=(Party(Answer.busy),), is_loose=True),
    click("hold", HOLD, Act(2, "Bridge", {"Channel1": "{agent1}", "Channel2": "{customer}"}), hang_up("{customer}")),
    click(
        "conference", MEET, JOIN, hang_up("{agent1}", 3), hang_up("{customer}", 1), hang_up("leg-joins", 1),
        others=(STAYS,),
    ),
    click("listen", LISTEN, hang_up("{agent1}", 3), others=(STAYS,)),
    click("mute_and_tones", MUTE, TONE, hang_up("{agent1}", 1), variables=RECORDED),
    click("blind_to_queue", blind("inbound", "sales"), hang_up("{agent2}", 4), others=(STAYS,), members=PHONES[1:2]),
    click("blind_to_colleague", blind("agents", "2"), hang_up("{agent2}", 4), others=(STAYS,)),
    click("blind_to_nowhere", blind("nowhere", "s")),
    click("blind_to_survey", blind("survey", "s")),
    Scene("moved", "call-moved", CUSTOMER, STAYS, (STAYS, STAYS), members=PHONES[:1], is_paused=True, acts=(
        Act(0, "QueueAdd", {"Queue": "support", "Interface": PHONES[1]}), MOVE, hang_up("{agent2}", 4),
    ), variables=PATIENT),
    Scene("queue_timeout", "call-timeout", CUSTOMER, STAYS, (STAYS,), is_paused=True, variables=HASTY),
    Scene("queue_first", "call-first", CUSTOMER, STAYS, (STAYS,), is_paused=True, variables=PATIENT, acts=(
        FIRST, Act(0.5, "QueuePause", {"Interface": PHONES[0], "Paused": "false"}), hang_up("{agent1}", 4),
    )),
    Scene("inbound", "", IN, BRIEF, (STAYS,)),
    Scene("inbound_agent_hangs_up", "", IN, STAYS, (STAYS,), acts=(hang_up("{agent1}", 4),)),
    Scene("inbound_abandoned", "", IN, Party(patience_s=4, stays_s=60), (STAYS,), is_paused=True),
    Scene("inbound_missed", "", IN, STAYS, (SILENT, STAYS), acts=(hang_up("{agent2}", 20),)),
    Scene("inbound_nobody", "", IN, STAYS),
    Scene("inbound_attended", "", IN, STAYS, (STAYS, STAYS), members=PHONES[:1], is_loose=True, acts=(
        ASK_COLLEAGUE, hang_up("{agent1}", 5), hang_up("{agent2}"),
    )),
]  # fmt: skip
