"""What is asked of the exchange, in AMI's words: each ask as the actions that do it. Pure.

Actions: https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/AMI_Actions/.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crm.calls.known import Direction
from crm.calls.placing import AGENT_RING_S
from crm.calls.sending import Outgoing
from crm.exchange import Kind

TRUNK = "PJSIP/{number}@carrier"
"""How a customer is dialled, unless the administrator says otherwise (`SANTRAL_AMI_TRUNK`)."""

CALLED_BACK_S = 120
"""Seconds for which somebody who is called back into a queue waits in it: they expect the call, and their place is
kept; whoever is called by a campaign waits for no more than an instant."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action with its fields and, for a call that begins, its variables."""

    name: str
    fields: Mapping[str, object]
    variables: Mapping[str, object] = field(default_factory=dict)


Named = Callable[[str], str]
"""Gives the channel's name of a leg, which some actions know it by; the leg itself where it is not known."""


def actions(out: Outgoing, *, named: Named, trunk: str = TRUNK) -> list[Action]:
    """Return the actions that do what is asked, in their order.

    :raises KeyError: when an argument is missing.
    """
    return WORDS[out.kind](out, named, trunk)


def _originate(out: Outgoing, named: Named, trunk: str) -> list[Action]:
    call = out.call
    assert call is not None, "a call begins"
    assert out.number is not None, "a call goes to somebody"
    call_id, digits = str(call["id"]), out.number.removeprefix("+")
    of_agent = Direction(call["direction"]) is Direction.agent_first
    context = "outbound" if of_agent else "predictive-amd" if call["detects_machines"] else "predictive"
    fields = {
        "Channel": out.endpoint if of_agent else trunk.format(number=digits), "ChannelId": call_id, "Async": "true",
        "Context": context, "Exten": digits if of_agent else call["queue"], "Priority": 1,
        "Timeout": 1000 * (AGENT_RING_S if of_agent else call["ring_limit_s"]),
        # What the agent's telephone shows must not be the number it is about to dial.
        "CallerID": f'"Santral" <{call_id[-6:]}>' if of_agent else call["caller_id"],
    }  # fmt: skip
    variables = {
        "__DIALER_CALL_ID": call_id, "__DIALER_LEAD_ID": call["lead_id"] or "", "DIALER_RECORD": "1",
        "DIALER_RING_SECS": call["ring_limit_s"], "DIALER_CALLER_ID": call["caller_id"] or "",
        "DIALER_MACHINE_MESSAGE": call["machine_message"] or "",
    }  # fmt: skip
    if call["purpose"] == "callback" and not of_agent:
        variables["DIALER_QUEUE_SECS"] = CALLED_BACK_S
    return [Action("Originate", fields, variables)]


def _hold(out: Outgoing, named: Named, trunk: str) -> list[Action]:
    customer, agent = named(out.args["leg"]), named(out.args["agent_leg"])
    fields = {
        "Channel": customer, "Context": "hold", "Exten": "s", "Priority": 1, "ExtraChannel": agent,
        "ExtraContext": "park", "ExtraExten": "s", "ExtraPriority": 1,
    }  # fmt: skip
    return [Action("Redirect", fields)]


def _resume(out: Outgoing, named: Named, trunk: str) -> list[Action]:
    one, other = named(out.args["agent_leg"]), named(out.args["leg"])
    return [Action("Bridge", {"Channel1": one, "Channel2": other, "Tone": "no"})]


def _conference(out: Outgoing, named: Named, trunk: str) -> list[Action]:
    one, other = (named(leg) for leg in out.args["legs"])
    room = out.args["room"]
    meet = {
        "Channel": one, "Context": "conference", "Exten": room, "Priority": 1, "ExtraChannel": other,
        "ExtraContext": "conference", "ExtraExten": room, "ExtraPriority": 1,
    }  # fmt: skip
    return [Action("Redirect", meet), *_ring_in(out, room)]


def _ring_in(out: Outgoing, room: str) -> list[Action]:
    """Call whoever joins; theirs is a leg of the same call, with an id of its own."""
    fields = {
        "Channel": out.args["endpoint"], "ChannelId": str(out.id), "Context": "conference", "Exten": room,
        "Priority": 1, "Timeout": 1000 * AGENT_RING_S, "CallerID": f'"Santral" <{room[-6:]}>', "Async": "true",
    }  # fmt: skip
    return [Action("Originate", fields, {"__DIALER_CALL_ID": room})]


MODES = {"listen": "", "whisper": "w", "barge": "B"}


def _spy(out: Outgoing, named: Named, trunk: str) -> list[Action]:
    fields = {
        "Channel": out.args["endpoint"], "ChannelId": str(out.id), "Application": "ChanSpy",
        "Data": f"{named(out.args['leg'])},quSE{MODES[out.args['mode']]}", "Timeout": 1000 * AGENT_RING_S,
        "CallerID": '"Santral" <spy>', "Async": "true",
    }  # fmt: skip
    return [Action("Originate", fields)]


def _queue_pause(out: Outgoing, named: Named, trunk: str) -> list[Action]:
    fields = {"Interface": out.args["endpoint"], "Paused": _yes(out.args["is_paused"]), "Reason": out.args["reason"]}
    in_one = {"Queue": out.args["queue"]} if "queue" in out.args else {}
    return [Action("QueuePause", fields | in_one)]


def _queue_add(out: Outgoing, named: Named, trunk: str) -> list[Action]:
    fields = {
        "Queue": out.args["queue"], "Interface": out.args["endpoint"], "Penalty": out.args.get("penalty", 0),
        "Paused": _yes(out.args.get("is_paused", False)), "MemberName": out.args["endpoint"],
    }  # fmt: skip
    return [Action("QueueAdd", fields)]


def _yes(is_so: bool) -> str:
    return "true" if is_so else "false"


WORDS: dict[Kind, Callable[[Outgoing, Named, str], list[Action]]] = {
    Kind.originate: _originate,
    Kind.hang_up: lambda out, named, _: [Action("Hangup", {"Channel": named(out.args["leg"]), "Cause": 16})],
    Kind.hold: _hold,
    Kind.resume: _resume,
    Kind.mute: lambda out, named, _: [
        # Not MuteAudio, which wants write `system`, and with it the right to run programs on the exchange.
        Action(
            "Setvar",
            {"Channel": named(out.args["leg"]), "Variable": "MUTEAUDIO(in)",
             "Value": "on" if out.args["is_muted"] else "off"},
        )
    ],
    Kind.play_dtmf: lambda out, named, _: [
        Action("PlayDTMF", {"Channel": named(out.args["leg"]), "Digit": digit}) for digit in out.args["digits"]
    ],
    Kind.redirect: lambda out, named, _: [
        Action(
            "Redirect",
            {"Channel": named(out.args["leg"]), "Context": out.args["context"], "Exten": out.args["exten"],
             "Priority": 1},
        )
    ],
    Kind.blind_transfer: lambda out, named, _: [
        Action(
            "BlindTransfer",
            {"Channel": named(out.args["leg"]), "Context": out.args["context"], "Exten": out.args["exten"]},
        )
    ],
    Kind.attended_transfer: lambda out, named, _: [
        Action(
            "Atxfer",
            {"Channel": named(out.args["leg"]), "Context": out.args["context"], "Exten": out.args["exten"]},
        )
    ],
    Kind.spy: _spy,
    Kind.conference: _conference,
    Kind.queue_add: _queue_add,
    Kind.queue_remove: lambda out, named, _: [
        Action("QueueRemove", {"Queue": out.args["queue"], "Interface": out.args["endpoint"]})
    ],
    Kind.queue_pause: _queue_pause,
    Kind.queue_penalty: lambda out, named, _: [
        Action(
            "QueuePenalty",
            {"Interface": out.args["endpoint"], "Penalty": out.args["penalty"], "Queue": out.args["queue"]},
        )
    ],
    Kind.caller_priority: lambda out, named, _: [
        Action(
            "QueueChangePriorityCaller",
            {"Queue": out.args["queue"], "Caller": named(out.args["leg"]), "Priority": out.args["priority"],
             "Immediate": "yes"},
        )
    ],
}  # fmt: skip

IS_SO_ALREADY = ("already there", "not there", "no such channel", "channel does not exist", "interface not found")
"""What the exchange says where nothing is left to do: who is to come is there, and who is to go has gone."""
FAILURES = (
    ("extension does not exist", "target.unknown"),
    ("channel does not exist", "leg.gone"),
    ("channel1 does not exist", "leg.gone"),
    ("channel2 does not exist", "leg.gone"),
    ("no such channel", "leg.gone"),
    ("no such queue", "queue.unknown"),
    ("interface not found", "member.unknown"),
    ("not dynamic", "member.fixed"),
    ("permission denied", "exchange.permission"),
    ("access forbidden", "exchange.permission"),
    ("transfer failed", "target.unknown"),
)
ENDS = frozenset({Kind.hang_up, Kind.queue_add, Kind.queue_remove, Kind.queue_pause})
"""Asks that are done when what they want is so already."""


def failure(kind: Kind, said: str) -> str | None:
    """Return why the exchange refused, as a code; None when what was wanted is so already."""
    words = said.lower()
    if kind in ENDS and any(each in words for each in IS_SO_ALREADY):
        return None
    return next((code for each, code in FAILURES if each in words), "exchange.refused")
