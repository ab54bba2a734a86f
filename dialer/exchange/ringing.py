"""Calling somebody on a loopback exchange: ringing, answering, and what is told when nobody does."""

from dialer.exchange.channels import UNKNOWN, Channel
from dialer.exchange.people import Answer, Party, People
from dialer.exchange.switchboard import Header, Switchboard

UNHEARD = {
    Answer.busy: ("BUSY", 17), Answer.silent: ("NOANSWER", 19), Answer.rejects: ("NOANSWER", 21),
    Answer.congestion: ("CONGESTION", 34), Answer.unallocated: ("NOANSWER", 1),
}  # fmt: skip
"""What dialling tells (DialStatus, Q.850 cause) of those who do not answer, over SIP."""
AT_ONCE = (Answer.congestion, Answer.unallocated)
"""What a carrier says before anything rings."""
NO_ANSWER_S = 30.0


def party_of(people: People, dial_string: str) -> Party | None:
    """Return who is behind a dial string, None when the exchange can make no channel to them."""
    if not dial_string.startswith("PJSIP/"):
        return None
    party = people(dial_string)
    return None if party.answer is Answer.absent else party


async def ring(
    board: Switchboard, channel: Channel, *, by: Channel | None = None, within_s: float = NO_ANSWER_S
) -> str:
    """Call a party; return the dial status. A party that did not answer is hung up with its cause."""
    dest = channel.shown("Dest")
    of_caller = by.shown() if by else []
    board.event("DialBegin", *of_caller, *dest, ("DialString", channel.name))
    party = channel.party
    status, cause = UNHEARD.get(party.answer, ("ANSWER", 16))
    waits = [channel, by] if by else [channel]
    if party.answer not in AT_ONCE:
        board.set_state(channel, "Ringing")
        board.event("DialState", *of_caller, *dest, ("DialStatus", "RINGING"))
        is_silent = party.answer is Answer.silent or party.rings_s > within_s
        if is_silent:
            status, cause = "NOANSWER", 19
        if not await board.pause(within_s if is_silent else party.rings_s, *waits):
            status, cause = ("CANCEL" if by else "NOANSWER"), 16
    if status == "ANSWER":
        board.set_state(channel, "Up")
        dest = channel.shown("Dest")
    # An unanswered call we asked for ourselves ends of its time without a DialEnd; one of a dialplan does not.
    if by or cause != 19:
        board.event("DialEnd", *of_caller, *dest, ("DialStatus", status))
    if status != "ANSWER":
        board.hang_up(channel, 0 if by and cause == 19 else cause)
    return status


async def originate(board: Switchboard, channel: Channel, action_id: str, asked: list[Header], within_s: float) -> bool:
    """Call a party and tell how it ended; return whether somebody is there. `asked`: where they shall go then."""
    status = await ring(board, channel, within_s=within_s)
    reason = {"ANSWER": "4", "NOANSWER": "3" if channel.cause == 19 else "0"}.get(status, "0")
    number, name = channel.caller
    board.event(
        "OriginateResponse", ("ActionID", action_id), ("Response", "Success" if status == "ANSWER" else "Failure"),
        ("Channel", channel.name), *asked, ("Reason", reason), ("Uniqueid", channel.uniqueid),
        ("CallerIDNum", number), ("CallerIDName", name),
    )  # fmt: skip
    return status == "ANSWER" and not channel.is_gone


def refuse_originate(board: Switchboard, dial_string: str, call_id: str, action_id: str, asked: list[Header]) -> None:
    """Tell that no channel could be made: nothing else is ever told of such a call."""
    board.event(
        "OriginateResponse", ("ActionID", action_id), ("Response", "Failure"), ("Channel", dial_string), *asked,
        ("Reason", "0"), ("Uniqueid", call_id or UNKNOWN), ("CallerIDNum", UNKNOWN), ("CallerIDName", UNKNOWN),
    )  # fmt: skip
