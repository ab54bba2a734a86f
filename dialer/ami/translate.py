"""AMI messages as facts of calls, or nothing. Pure: no connection, no database, no clock.

Names and meanings of events: https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/AMI_Events/.
What is not about a leg of ours is translated all the same; whoever knows the calls leaves it out.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from crm.calls import facts
from crm.calls.facts import Dialled, Fact, Party, QueueEnd, Verdict
from dialer.ami.messages import Message

DIALLED = {
    "ANSWER": Dialled.answer, "ANSWERED": Dialled.answer, "BUSY": Dialled.busy, "NOANSWER": Dialled.no_answer,
    "NO ANSWER": Dialled.no_answer, "CONGESTION": Dialled.congestion, "CANCEL": Dialled.cancelled,
    "CHANUNAVAIL": Dialled.unavailable, "FAILED": Dialled.unavailable,
}  # fmt: skip
VERDICTS = {"HUMAN": Verdict.human, "MACHINE": Verdict.machine, "NOTSURE": Verdict.unsure}
QUEUE_ENDS = {
    "TIMEOUT": QueueEnd.timeout, "FULL": QueueEnd.full, "JOINEMPTY": QueueEnd.join_empty,
    "JOINUNAVAIL": QueueEnd.join_empty, "LEAVEEMPTY": QueueEnd.leave_empty, "LEAVEUNAVAIL": QueueEnd.leave_empty,
    "WITHDRAW": QueueEnd.withdrawn, "CALLBACK": QueueEnd.callback,
}  # fmt: skip
PARTIES = {"caller": Party.caller, "agent": Party.agent, "transfer": Party.transfer}
PSEUDO = "OutgoingSpoolFailed"
"""A channel that is none: where a failed call runs an extension named `failed`."""


def translate(message: Message, *, now: datetime) -> Fact | None:
    """Return what a message tells of a call; None when that is nothing, or when it cannot be true.

    `now` (UTC) stands in for the server's clock where it tells no time.
    """
    told = EVENTS.get(message.event)
    if told is None or message["channel"].startswith(PSEUDO):
        return None
    try:
        return told(message, {"call_id": message["linkedid"], "leg_id": message["uniqueid"], "at": message.at or now})
    except (KeyError, ValueError, ArithmeticError):
        return None


LARGEST = 2**31
"""Causes, positions and seconds are smaller."""


def _number(message: Message, name: str) -> int:
    """Return a whole number; the exchange leaves out an unknown one, which counts as 0.

    :raises ValueError: when it is something else, or none that could be true.
    """
    number = int(message[name] or 0)
    if not -LARGEST < number < LARGEST:
        raise ValueError("no such number")
    return number


def _queue(message: Message) -> str:
    """Return the queue it is about.

    :raises ValueError: when it names none.
    """
    if not message["queue"]:
        raise ValueError("no queue")
    return message["queue"]


def _leg(message: Message, of: dict[str, Any]) -> dict[str, Any]:
    """Return whom a message is about.

    :raises ValueError: when it names no leg.
    """
    if not of["leg_id"]:
        raise ValueError("no leg")
    return of


def _dest(message: Message, of: dict[str, Any]) -> dict[str, Any]:
    """Return the leg that is dialled."""
    call_id = message["destlinkedid"] or of["call_id"]
    return _leg(message, {**of, "call_id": call_id, "leg_id": message["destuniqueid"]})


def _started(message: Message, of: dict[str, Any]) -> Fact:
    return facts.LegStarted(**_leg(message, of), interface=_endpoint(NUMBERED.sub("", message["channel"])))


def _endpoint(name: str) -> str:
    """Return the name of an endpoint, empty where it is made of a number that was dialled: such are no agents'.

    A local channel is named after what it leads to, `Local/905321234567@outbound`; facts hold no numbers.
    """
    return "" if DIALLED_NUMBER.search(name) else name


DIALLED_NUMBER = re.compile(r"(?:[0-9][ ().-]?){9}")
NUMBERED = re.compile(r"-[0-9a-f]{8}(;[12])?$")
"""How the exchange tells apart the channels of one endpoint."""


def _state(message: Message, of: dict[str, Any]) -> Fact | None:
    if message["channelstatedesc"] == "Up":
        return facts.LegAnswered(**_leg(message, of))
    return facts.LegRinging(**_leg(message, of)) if message["channelstatedesc"] == "Ringing" else None


def _ended(message: Message, of: dict[str, Any]) -> Fact:
    if "cause" not in message.fields:  # it is always told; here it was cut off, or said in two ways
        raise ValueError("no cause")
    cause, was_up = _number(message, "cause"), message["channelstatedesc"] == "Up"
    return facts.LegEnded(**_leg(message, of), cause=cause, was_up=was_up)


def _variable(message: Message, of: dict[str, Any]) -> Fact | None:
    if message["variable"] == "AMDSTATUS" and message["value"]:
        return facts.Detected(**_leg(message, of), verdict=VERDICTS[message["value"]])
    if message["variable"] == "QUEUESTATUS" and message["value"]:
        return facts.QueueEnded(**_leg(message, of), end=QUEUE_ENDS[message["value"]])
    return None


def _from_dialplan(message: Message, of: dict[str, Any]) -> Fact | None:
    """Read what our dialplan tells by itself."""
    match message["userevent"]:
        case "DialResult":
            dialled = DIALLED[message["dialstatus"]]
            return facts.DialReported(**_leg(message, of), dialled=dialled, cause=_number(message, "hangupcause"))
        case "QueueResult":
            return facts.QueueEnded(**_leg(message, of), end=QUEUE_ENDS[message["queuestatus"]])
        case "AmdResult":
            return facts.Detected(**_leg(message, of), verdict=VERDICTS[message["status"]])
    return None


def _originated(message: Message, of: dict[str, Any]) -> Fact:
    leg_id = "" if of["leg_id"] == "<unknown>" else of["leg_id"]
    return facts.OriginateEnded(
        **{**of, "call_id": leg_id, "leg_id": leg_id}, action_id=message["actionid"],
        has_succeeded=message["response"] == "Success", reason=_number(message, "reason"),
    )  # fmt: skip


def _agent(message: Message, of: dict[str, Any]) -> dict[str, Any]:
    """Return the queue, the agent and the agent's leg.

    Of a caller who has just gone the exchange may tell the call alone, whose id is that of their leg.
    """
    of = {**of, "call_id": of["call_id"] or message["destlinkedid"], "leg_id": of["leg_id"] or message["destlinkedid"]}
    return _leg(message, of) | {
        "queue": _queue(message), "interface": _endpoint(message["interface"]), "agent_leg": message["destuniqueid"],
    }  # fmt: skip


def _missed(message: Message, of: dict[str, Any]) -> Fact:
    # In milliseconds here, in seconds everywhere else.
    return facts.AgentMissed(**_agent(message, of), ring_s=_number(message, "ringtime") / 1000)


def _connected(message: Message, of: dict[str, Any]) -> Fact:
    waited_s, ring_s = _number(message, "holdtime"), _number(message, "ringtime")
    return facts.AgentConnected(**_agent(message, of), waited_s=waited_s, ring_s=ring_s)


def _finished(message: Message, of: dict[str, Any]) -> Fact:
    by, talk_s = PARTIES[message["reason"]], _number(message, "talktime")
    return facts.AgentFinished(**_agent(message, of), talk_s=talk_s, by=by)


def _blind(message: Message, of: dict[str, Any]) -> Fact:
    of = {**of, "call_id": message["transfererlinkedid"], "leg_id": message["transfereruniqueid"]}
    return facts.Transferred(**_leg(message, of), is_attended=False, has_succeeded=message["result"] == "Success")


def _attended(message: Message, of: dict[str, Any]) -> Fact:
    of = {**of, "call_id": message["origtransfererlinkedid"], "leg_id": message["origtransfereruniqueid"]}
    return facts.Transferred(**_leg(message, of), is_attended=True, has_succeeded=message["result"] == "Success")


def _record(message: Message, of: dict[str, Any]) -> Fact:
    return facts.RecordWritten(
        **_leg(message, of), dialled=DIALLED[message["disposition"]], duration_s=_number(message, "duration"),
        billable_s=_number(message, "billableseconds"),
    )  # fmt: skip


def _member(message: Message, of: dict[str, Any]) -> Fact | None:
    endpoint = _endpoint(message["interface"] or message["location"])
    if not endpoint:
        return None
    return facts.MemberChanged(
        at=of["at"], queue=message["queue"], interface=endpoint,
        is_member=message.event != "QueueMemberRemoved", is_paused=message["paused"] == "1",
        reason=message["pausedreason"],
    )  # fmt: skip


def _music(message: Message, of: dict[str, Any]) -> Fact | None:
    """Read the music of our own hold: there is no other sign of a hold that the product made. Any other music is not.

    https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/AMI_Events/MusicOnHoldStart/
    """
    if message["context"] != HOLD:
        return None
    fact = facts.Held if message.event == "MusicOnHoldStart" else facts.Unheld
    return fact(**_leg(message, of))


HOLD = "hold"
"""The context of our dialplan in which a customer waits for the agent to take the call up again."""

EVENTS: dict[str, Callable[[Message, dict[str, Any]], Fact | None]] = {
    "Newchannel": _started,
    "Newstate": _state,
    "Hangup": _ended,
    "DialBegin": lambda m, of: facts.DialBegan(**_dest(m, of), by_leg=of["leg_id"]),
    "DialEnd": lambda m, of: facts.DialEnded(**_dest(m, of), by_leg=of["leg_id"], dialled=DIALLED[m["dialstatus"]]),
    "VarSet": _variable,
    "UserEvent": _from_dialplan,
    "OriginateResponse": _originated,
    "QueueCallerJoin": lambda m, of: facts.QueueJoined(**_leg(m, of), queue=_queue(m), position=_number(m, "position")),
    "QueueCallerLeave": lambda m, of: facts.QueueLeft(**_leg(m, of), queue=_queue(m)),
    "QueueCallerAbandon": lambda m, of: facts.QueueAbandoned(
        **_leg(m, of), queue=_queue(m), waited_s=_number(m, "holdtime")
    ),
    "AgentCalled": lambda m, of: facts.AgentCalled(**_agent(m, of)),
    "AgentRingNoAnswer": _missed,
    "AgentConnect": _connected,
    "AgentComplete": _finished,
    "BridgeEnter": lambda m, of: facts.BridgeEntered(**_leg(m, of), bridge_id=m["bridgeuniqueid"]),
    "BridgeLeave": lambda m, of: facts.BridgeLeft(**_leg(m, of), bridge_id=m["bridgeuniqueid"]),
    "Hold": lambda m, of: facts.Held(**_leg(m, of)),
    "Unhold": lambda m, of: facts.Unheld(**_leg(m, of)),
    "MusicOnHoldStart": _music,
    "MusicOnHoldStop": _music,
    "BlindTransfer": _blind,
    "AttendedTransfer": _attended,
    "Cdr": _record,
    "QueueMember": _member,
    "QueueMemberAdded": _member,
    "QueueMemberRemoved": _member,
    "QueueMemberPause": _member,
    "QueueMemberStatus": _member,
}
