"""What a loopback exchange does with channels that have answered: the contexts of `dialer/asterisk/extensions.conf`."""

from dialer.exchange.channels import UNKNOWN, Channel
from dialer.exchange.people import Answer
from dialer.exchange.queueing import Queueing, converse
from dialer.exchange.recording import Recorder
from dialer.exchange.ringing import ring
from dialer.exchange.switchboard import Header, Switchboard

RING_S = 45.0
QUEUE_S = 3600.0
PREDICTIVE_QUEUE_S = 5.0
RING_COLLEAGUE_S = 20.0
"""The seconds of `extensions.conf`."""
DETECT_S = 2.0
SAFE_HARBOUR_S = 5.0
MESSAGE_S = 3.0
QUEUED = ("inbound", "predictive", "predictive-amd", "callback")
SIMPLE = ("hold", "park", "survey")


class Dialplan:
    """The contexts, for the channels of a switchboard. `is_closed`: there are no queues but those of the board."""

    def __init__(self, board: Switchboard, recorder: Recorder, *, is_closed: bool = False) -> None:
        self.board = board
        self.recorder = recorder
        self.queueing = Queueing(board)
        self.is_closed = is_closed
        board.has_extension = self.has_extension
        board.dialplan |= {
            "outbound": self.dial_out, "predictive": self.predict, "predictive-amd": self.detect,
            "inbound": self.receive, "hold": self.hear_music, "park": self.wait, "survey": self.say,
            "announce": self.say, "callback": self.say, "conference": self.confer, "agents": self.call_colleague,
        }  # fmt: skip

    def has_extension(self, context: str, exten: str) -> bool:
        """Return whether there is an extension in a context."""
        if context in QUEUED:
            return exten in self.board.queues if self.is_closed else bool(exten)
        if context in SIMPLE:
            return exten == "s"
        if context == "announce":
            return bool(exten)
        digits = exten.removeprefix("+") if context == "outbound" else exten[:1]
        return context in self.board.dialplan and digits.isdigit()

    async def dial_out(self, channel: Channel) -> None:
        """Call a customer for an agent who is there already."""
        self.recorder.begin(channel)
        await self._dial(channel, f"PJSIP/{channel.exten}@carrier", _seconds(channel, "DIALER_RING_SECS", RING_S))

    async def call_colleague(self, channel: Channel) -> None:
        """Call another agent."""
        _hide(channel)
        await self._dial(channel, f"PJSIP/agent-{channel.exten}", RING_COLLEAGUE_S)

    async def _dial(self, channel: Channel, dial_string: str, within_s: float) -> None:
        """Call somebody for a channel and let them talk; report when there was nobody."""
        left = channel.left
        if self.board.people(dial_string).answer is Answer.absent:
            self._report_dial(channel, "CHANUNAVAIL", 0)
            return self.board.hang_up(channel, 16)
        other = self.board.make(
            dial_string, linkedid=channel.linkedid, context="from-carrier", caller=channel.caller,
            variables=[each for each in channel.variables.items() if each[0] != "DIALER_RECORD"],
        )  # fmt: skip
        status = await ring(self.board, other, by=channel, within_s=within_s)
        if status != "ANSWER":
            if channel.is_free(left):
                self._report_dial(channel, status, other.cause)
                self.board.hang_up(channel, other.cause or 16)
            return None
        self.board.set_state(channel, "Up")
        doing = [(each, each.left) for each in (other, channel)]
        bridge = self.board.new_bridge()
        for each in (other, channel):
            self.board.enter(each, bridge)
        await converse(self.board, channel, other)
        return self.board.finish(doing)

    def _report_dial(self, channel: Channel, status: str, cause: int) -> None:
        if channel.context == "outbound":
            self._report(channel, "DialResult", ("DialStatus", status), ("HangupCause", str(cause)))

    def _report(self, channel: Channel, name: str, *headers: Header) -> None:
        self.board.of_channel("UserEvent", channel, ("UserEvent", name), ("CallId", channel.call_id), *headers)

    async def detect(self, channel: Channel) -> None:
        """Tell a person from a machine; a person goes on to the queue."""
        is_machine = channel.party.answer is Answer.machine
        if not await self.board.pause(DETECT_S, channel):
            return
        verdict, why = ("MACHINE", "LONGGREETING-1500-1500") if is_machine else ("HUMAN", "HUMAN-800-800")
        channel.variables["AMDSTATUS"] = verdict
        self._report(channel, "AmdResult", ("Status", verdict), ("Cause", why))
        if is_machine:
            await self._leave_message(channel)
        else:
            await self.predict(channel)

    async def _leave_message(self, channel: Channel) -> None:
        """Leave a machine the message that is named, and hang up."""
        left = channel.left
        if channel.variables.get("DIALER_MACHINE_MESSAGE"):
            await self.board.pause(MESSAGE_S, channel)
        self.board.finish([(channel, left)])

    async def predict(self, channel: Channel) -> None:
        """Wait for an agent whom we have called; when none comes, hear who called and why."""
        left = channel.left
        if await self._wait_in_queue(channel, PREDICTIVE_QUEUE_S):
            await self.board.pause(SAFE_HARBOUR_S, channel)
        self.board.finish([(channel, left)])

    async def receive(self, channel: Channel) -> None:
        """Wait for an agent whom one has called."""
        left = channel.left
        self.board.set_state(channel, "Up")
        await self._wait_in_queue(channel, QUEUE_S)
        self.board.finish([(channel, left)])

    async def _wait_in_queue(self, channel: Channel, seconds: float) -> str:
        """Return why the queue let the channel go; empty when it is not for us to go on."""
        _hide(channel)
        self.recorder.begin(channel)
        limit = _seconds(channel, "DIALER_QUEUE_SECS", seconds)
        if status := await self.queueing.wait(channel, channel.exten, limit):
            channel.variables["QUEUESTATUS"] = status
            self._report(channel, "QueueResult", ("QueueStatus", status))
        return status

    async def hear_music(self, channel: Channel) -> None:
        """Hear music until fetched."""
        left = channel.left
        self.board.of_channel("MusicOnHoldStart", channel, ("Class", "default"))
        await self.board.pause(channel.party.stays_s, channel)
        if not channel.is_gone:
            self.board.of_channel("MusicOnHoldStop", channel)
        self.board.finish([(channel, left)])

    async def wait(self, channel: Channel) -> None:
        """Hear nothing until fetched."""
        left = channel.left
        self.board.set_state(channel, "Up")
        await self.board.pause(channel.party.stays_s, channel)
        self.board.finish([(channel, left)])

    async def say(self, channel: Channel) -> None:
        """Hear a message, or what the firm wants to ask, and that is all."""
        left = channel.left
        self.board.set_state(channel, "Up")
        await self.board.pause(MESSAGE_S, channel)
        self.board.finish([(channel, left)])

    async def confer(self, channel: Channel) -> None:
        """Talk with everybody who is in the conference of that name."""
        left, name = channel.left, channel.exten
        self.board.set_state(channel, "Up")
        room = next((each for each in self.board.bridges.values() if each.room == name), None)
        if room is None:
            room = self.board.new_bridge(room=name)
            self.board.event("ConfbridgeStart", *room.shown(), ("Conference", name))
        self.board.enter(channel, room)
        joined = ("Conference", name), ("Admin", "No"), ("Muted", "No")
        self.board.of_channel("ConfbridgeJoin", channel, *room.shown(), *joined)
        await self.board.pause(channel.party.stays_s, channel)
        self.board.finish([(channel, left)])


def _hide(channel: Channel) -> None:
    """Have agents' telephones show the firm's name where they would show who is calling."""
    channel.caller = (UNKNOWN, "Santral")


def _seconds(channel: Channel, variable: str, otherwise: float) -> float:
    said = channel.variables.get(variable, "")
    return float(said) if said.isdigit() and int(said) else otherwise
