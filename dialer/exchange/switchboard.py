"""What happens inside a loopback exchange: channels are made, ring, meet and end, and everything is told as it is.

Which events come, in which families, with which fields, was read off conversations recorded from Asterisk 22.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from crm import ids
from dialer.exchange.channels import CAUSES, UNKNOWN, Bridge, Channel, Queue
from dialer.exchange.people import Answer, Party, People

Header = tuple[str, str]
Work = Callable[[Channel], Coroutine[Any, Any, None]]
UNHEARD = {
    Answer.busy: ("BUSY", 17), Answer.silent: ("NOANSWER", 19), Answer.rejects: ("NOANSWER", 21),
    Answer.congestion: ("CONGESTION", 34), Answer.unallocated: ("NOANSWER", 1),
}  # fmt: skip
"""What dialling tells (DialStatus, Q.850 cause) of those who do not answer, over SIP."""
AT_ONCE = (Answer.congestion, Answer.unallocated)
"""What a carrier says before anything rings."""
NO_ANSWER_S = 30.0


class Switchboard:
    """The exchange's world. `tell` gets each event's headers; `speed`: its seconds in one of ours."""

    def __init__(self, people: People, tell: Callable[[list[Header]], None], *, speed: float = 1.0) -> None:
        self.people = people
        self.tell = tell
        self.speed = speed
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, Bridge] = {}
        self.queues: dict[str, Queue] = {}
        self.book: list[dict[str, Any]] = []
        """Every channel that ended: what the exchange itself knows of its calls."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._loop = asyncio.get_running_loop()
        self._began = time.time(), self._loop.time()
        self.dialplan: dict[str, Work] = {}
        """What a context does with a channel, by its name."""

    def now(self) -> float:
        """Return the exchange's clock in seconds since 1970."""
        epoch, started = self._began
        return epoch + (self._loop.time() - started) * self.speed

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something happen beside everything else."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Stop at once: `core stop now`."""
        for channel in list(self.channels.values()):
            self.hang_up(channel, 16)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def find(self, name: str) -> Channel | None:
        """Return a live channel by its name or unique id."""
        return self.channels.get(name) or next((each for each in self.channels.values() if each.name == name), None)

    async def pause(self, seconds: float, *channels: Channel) -> bool:
        """Wait; return False as soon as one of the channels has left what it does."""
        left = [channel.left for channel in channels]
        if not left:
            await asyncio.sleep(seconds / self.speed)
            return True
        done, _ = await asyncio.wait(left, timeout=seconds / self.speed, return_when=asyncio.FIRST_COMPLETED)
        return not done

    def event(self, name: str, *headers: Header) -> None:
        """Tell an event."""
        self.tell([("Event", name), ("Privilege", "call,all"), ("Timestamp", f"{self.now():.6f}"), *headers])

    def of_channel(self, name: str, channel: Channel, *headers: Header) -> None:
        """Tell an event of a channel."""
        self.event(name, *channel.shown(), *headers)

    def make(
        self, dial_string: str, *, uniqueid: str = "", linkedid: str = "", context: str, exten: str = "s",
        caller: Header = (UNKNOWN, UNKNOWN), variables: Iterable[Header] = (), state: str = "Down",
    ) -> Channel:  # fmt: skip
        """Make a channel to whoever a dial string names."""
        number = next(self._numbers)
        uniqueid = uniqueid or f"{int(self.now())}.{number}"
        technology, _, rest = dial_string.partition("/")
        name = f"{technology}/{rest.partition('@')[2] or rest}-{number:08x}"
        channel = Channel(
            name, uniqueid, linkedid or uniqueid, context, exten, self.people(dial_string), self.now(),
            dict(variables), state=state,
        )  # fmt: skip
        self.channels[uniqueid] = channel
        self.of_channel("Newchannel", channel)
        channel.caller = caller
        return channel

    def set_state(self, channel: Channel, state: str) -> None:
        """Ring, or answer."""
        channel.state = state
        if state == "Up":
            channel.answered = self.now()
        self.of_channel("Newstate", channel)

    def hang_up(self, channel: Channel, cause: int) -> None:
        """End a channel; whoever shares a bridge with it is told by their own dialplan."""
        if channel.is_gone:
            return
        channel.is_gone, channel.cause = True, cause
        channel.leave("gone")
        self.unbridge(channel)
        del self.channels[channel.uniqueid]
        self._write_up(channel)
        self.of_channel("Hangup", channel, ("Cause", str(cause)), ("Cause-txt", CAUSES.get(cause, "Unknown")))

    def _write_up(self, channel: Channel) -> None:
        end = self.now()
        talked = end - channel.answered if channel.answered is not None else 0.0
        disposition = {17: "BUSY"}.get(channel.cause, "NO ANSWER") if channel.answered is None else "ANSWERED"
        self.book.append(
            {"uniqueid": channel.uniqueid, "linkedid": channel.linkedid, "cause": channel.cause,
             "disposition": disposition, "seconds": end - channel.began, "billable": talked}
        )  # fmt: skip
        self.event(
            "Cdr", ("Channel", channel.name), ("StartTime", ""), ("AnswerTime", ""), ("EndTime", ""),
            ("Duration", str(int(end - channel.began))), ("BillableSeconds", str(int(talked))),
            ("Disposition", disposition), ("AMAFlags", "DOCUMENTATION"), ("UniqueID", channel.uniqueid),
            ("UserField", ""),
        )  # fmt: skip

    def bridge(self, *channels: Channel) -> Bridge:
        """Let channels hear each other."""
        bridge = Bridge(str(ids.new()))
        self.bridges[bridge.id] = bridge
        self.event("BridgeCreate", *bridge.shown())
        for channel in channels:
            self.unbridge(channel)
            bridge.channels.append(channel)
            channel.bridge = bridge
            self.event("BridgeEnter", *bridge.shown(), *channel.shown())
        return bridge

    def unbridge(self, channel: Channel) -> None:
        """Take a channel out of its bridge; the last but one ends it."""
        bridge, channel.bridge = channel.bridge, None
        if bridge is None:
            return
        bridge.channels.remove(channel)
        self.event("BridgeLeave", *bridge.shown(), *channel.shown())
        if not bridge.channels:
            del self.bridges[bridge.id]
            self.event("BridgeDestroy", *bridge.shown())

    def join(self, one: Channel, other: Channel) -> None:
        """Let two channels talk that were doing something else, until one of them goes."""
        for each in (one, other):
            self.unbridge(each)
            each.left = self._loop.create_future()
        self.begin(self._meet(one, other))

    async def _meet(self, one: Channel, other: Channel) -> None:
        doing = [(each, each.left) for each in (one, other)]
        self.bridge(one, other)
        await self.pause(min(one.party.stays_s, other.party.stays_s), one, other)
        self.finish(doing)

    def finish(self, doing: Iterable[tuple[Channel, "asyncio.Future[str]"]]) -> None:
        """Hang up channels whose work is over, but not those sent elsewhere meanwhile."""
        for channel, left in doing:
            if channel.is_free(left):
                self.hang_up(channel, 16)

    def run(self, channel: Channel, context: str, exten: str) -> None:
        """Send a channel through the dialplan from here on."""
        channel.context, channel.exten = context, exten
        channel.left = self._loop.create_future()
        self.begin(self.dialplan[context](channel))

    async def ring(self, channel: Channel, *, by: Channel | None = None, within_s: float = NO_ANSWER_S) -> str:
        """Call a party; return the dial status. A party that did not answer is hung up with its cause."""
        dest = channel.shown("Dest")
        of_caller = by.shown() if by else []
        self.event("DialBegin", *of_caller, *dest, ("DialString", channel.name))
        party = channel.party
        status, cause = UNHEARD.get(party.answer, ("ANSWER", 16))
        waits = [channel, by] if by else [channel]
        if party.answer not in AT_ONCE:
            self.set_state(channel, "Ringing")
            self.event("DialState", *of_caller, *dest, ("DialStatus", "RINGING"))
            is_silent = party.answer is Answer.silent or party.rings_s > within_s
            if is_silent:
                status, cause = "NOANSWER", 19
            if not await self.pause(within_s if is_silent else party.rings_s, *waits):
                status, cause = ("CANCEL" if by else "NOANSWER"), 16
        if status == "ANSWER":
            self.set_state(channel, "Up")
            dest = channel.shown("Dest")
        # An unanswered call we asked for ourselves ends of its time without a DialEnd; one of a dialplan does not.
        if by or cause != 19:
            self.event("DialEnd", *of_caller, *dest, ("DialStatus", status))
        if status != "ANSWER":
            self.hang_up(channel, 0 if by and cause == 19 else cause)
        return status

    async def originate(self, channel: Channel, action_id: str, context: str, exten: str, within_s: float) -> None:
        """Call a party, tell how it ended, and send who answered through the dialplan."""
        asked = ("Context", context), ("Exten", exten)
        status = await self.ring(channel, within_s=within_s)
        reason = {"ANSWER": "4", "NOANSWER": "3" if channel.cause == 19 else "0"}.get(status, "0")
        number, name = channel.caller
        self.event(
            "OriginateResponse", ("ActionID", action_id), ("Response", "Success" if status == "ANSWER" else "Failure"),
            ("Channel", channel.name), *asked, ("Reason", reason), ("Uniqueid", channel.uniqueid),
            ("CallerIDNum", number), ("CallerIDName", name),
        )  # fmt: skip
        if status == "ANSWER" and not channel.is_gone:
            self.run(channel, context, exten)

    def arrive(self, number: str, queue: str) -> Channel:
        """Let a customer call in."""
        caller = (number, UNKNOWN)
        channel = self.make(f"PJSIP/{number}@carrier", context="inbound", exten=queue, caller=caller, state="Ring")
        self.run(channel, "inbound", queue)
        return channel


def party_of(people: People, dial_string: str) -> Party | None:
    """Return who is behind a dial string, None when the exchange can make no channel to them."""
    if not dial_string.startswith(("PJSIP/", "Local/")):
        return None
    party = people(dial_string)
    return None if party.answer is Answer.absent else party
