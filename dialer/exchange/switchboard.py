"""What happens inside a loopback exchange: channels are made, meet and end, and everything is told as it is.

Which events come, in which families, with which fields, was read off conversations recorded from Asterisk 22.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from crm import ids
from dialer.exchange.channels import CAUSES, UNKNOWN, Bridge, Channel
from dialer.exchange.people import Answer, Party, People
from dialer.exchange.queues import BUSY, NOT_IN_USE, UNAVAILABLE, Queue

Header = tuple[str, str]
Work = Callable[[Channel], Coroutine[Any, Any, None]]
PRIVILEGES = {"Cdr": "cdr,all", "UserEvent": "user,all"}
OF_AGENTS = ("Queue", "Agent")
LAST_WORDS_S = 0.2


class Switchboard:
    """The exchange's world. `tell` gets each event's headers; `speed`: its seconds in one of ours."""

    def __init__(self, people: People, tell: Callable[[list[Header]], None], *, speed: float = 1.0) -> None:
        self.people = people
        self.tell = tell
        self.speed = speed
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, Bridge] = {}
        self.queues: dict[str, Queue] = {}
        self.in_use: Counter[str] = Counter()
        """How many channels there are to a dial string."""
        self.book: list[dict[str, Any]] = []
        """Every channel that ended: what the exchange itself knows of its calls."""
        self.dialplan: dict[str, Work] = {}
        """What a context does with a channel, by its name."""
        self.has_extension: Callable[[str, str], bool] = lambda context, exten: context in self.dialplan
        self.when_gone: list[Callable[[Channel], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._loop = asyncio.get_running_loop()
        self._began = time.time(), self._loop.time()

    def now(self) -> float:
        """Return the exchange's clock in seconds since 1970."""
        epoch, started = self._began
        return epoch + (self._loop.time() - started) * self.speed

    def begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Let something happen beside everything else."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Stop at once: `core stop now`."""
        for channel in list(self.channels.values()):
            self.hang_up(channel, 16)
        await self.vanish()

    async def vanish(self) -> None:
        """Forget every call and every member, without a word: a killed server."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self.channels.values():
            channel.is_gone = True
        for lost in (self.channels, self.bridges, self.in_use):
            lost.clear()
        for name, queue in self.queues.items():
            self.queues[name] = Queue(name, queue.weight)

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
        privilege = PRIVILEGES.get(name, "agent,all" if name.startswith(OF_AGENTS) else "call,all")
        self.tell([("Event", name), ("Privilege", privilege), ("Timestamp", f"{self.now():.6f}"), *headers])

    def of_channel(self, name: str, channel: Channel, *headers: Header) -> None:
        """Tell an event of a channel."""
        self.event(name, *channel.shown(), *headers)

    def make(
        self, dial_string: str, *, uniqueid: str = "", linkedid: str = "", context: str, exten: str = "s",
        caller: Header = (UNKNOWN, UNKNOWN), variables: Iterable[Header] = (), state: str = "Down", ending: str = "",
        party: Party | None = None,
    ) -> Channel:  # fmt: skip
        """Make a channel to whoever a dial string names; `ending` tells the halves of a local channel apart."""
        number = next(self._numbers)
        uniqueid = uniqueid or f"{int(self.now())}.{number}"
        technology, _, rest = dial_string.partition("/")
        shown = rest if technology == "Local" else rest.partition("@")[2] or rest
        channel = Channel(
            f"{technology}/{shown}-{number:08x}{ending}", uniqueid, linkedid or uniqueid, dial_string, context, exten,
            party or self.people(dial_string), self.now(), dict(variables), state=state,
        )  # fmt: skip
        self.channels[uniqueid] = channel
        self.in_use[dial_string] += 1
        self.of_channel("Newchannel", channel)
        channel.caller = caller
        return channel

    def set_state(self, channel: Channel, state: str) -> None:
        """Ring, or answer."""
        if channel.state == state:
            return
        channel.state = state
        if state == "Up":
            channel.answered = self.now()
        self.of_channel("Newstate", channel)
        if state == "Ringing":
            self.tell_device(channel.dialled)
        if channel.half is not None and channel.half.state != "Up":
            self.set_state(channel.half, state)

    def status_of(self, interface: str) -> int:
        """Return the state of a telephone."""
        if self.in_use[interface]:
            return BUSY
        return UNAVAILABLE if self.people(interface).answer is Answer.absent else NOT_IN_USE

    def tell_device(self, interface: str) -> None:
        """Tell the queues' view of a telephone whose state has changed."""
        for queue in self.queues.values():
            if member := queue.members.get(interface):
                self.event("QueueMemberStatus", *member.shown(queue.name, self.status_of(interface)))

    def hang_up(self, channel: Channel, cause: int) -> None:
        """End a channel; whoever shares a bridge with it is told by their own dialplan."""
        if channel.before_gone is not None:
            act, channel.before_gone = channel.before_gone, None
            act()
        if channel.is_gone:
            return
        channel.is_gone, channel.cause = True, cause
        channel.leave("gone")
        self.unbridge(channel)
        del self.channels[channel.uniqueid]
        self.in_use[channel.dialled] -= 1
        self._write_up(channel)
        for each in self.when_gone:
            each(channel)
        self.of_channel("Hangup", channel, ("Cause", str(cause)), ("Cause-txt", CAUSES.get(cause, "Unknown")))
        self.tell_device(channel.dialled)
        if channel.half is not None:
            self.hang_up(channel.half, 16)

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

    def new_bridge(self, *, room: str = "") -> Bridge:
        """Make an empty bridge."""
        bridge = Bridge(str(ids.new()), room)
        self.bridges[bridge.id] = bridge
        self.event("BridgeCreate", *bridge.shown())
        return bridge

    def enter(self, channel: Channel, bridge: Bridge) -> None:
        """Put a channel into a bridge."""
        self.unbridge(channel)
        bridge.channels.append(channel)
        channel.bridge = bridge
        self.event("BridgeEnter", *bridge.shown(), *channel.shown())

    def unbridge(self, channel: Channel) -> None:
        """Take a channel out of its bridge; the last one ends it."""
        bridge, channel.bridge = channel.bridge, None
        if bridge is None:
            return
        if bridge.room:
            in_room = ("Conference", bridge.room), ("Admin", "No")
            self.event("ConfbridgeLeave", *bridge.shown(), *channel.shown(), *in_room)
        bridge.channels.remove(channel)
        self.event("BridgeLeave", *bridge.shown(), *channel.shown())
        if bridge.channels:
            return
        del self.bridges[bridge.id]
        if bridge.room:
            self.event("ConfbridgeEnd", *bridge.shown(), ("Conference", bridge.room))
        self.event("BridgeDestroy", *bridge.shown())

    def settle(self, channel: Channel) -> None:
        """Let a channel begin something new: whatever it did is over, without its end."""
        channel.leave("sent")
        channel.left = self._loop.create_future()

    def meet(self, *channels: Channel) -> None:
        """Let channels talk that were doing something else, until one of them goes."""
        for each in channels:
            self.settle(each)
        self.begin(self._converse(*channels))

    async def _converse(self, *channels: Channel) -> None:
        doing = [(each, each.left) for each in channels]
        await self.pause(min(each.party.stays_s for each in channels), *channels)
        self.finish(doing)

    def finish(self, doing: "Iterable[tuple[Channel, asyncio.Future[str]]]") -> None:
        """Hang up channels whose work is over, but not those sent elsewhere meanwhile."""
        for channel, left in doing:
            if channel.is_free(left):
                self.hang_up(channel, 16)

    def run(self, channel: Channel, context: str, exten: str) -> None:
        """Send a channel through the dialplan from here on; where there is no such extension it ends."""
        channel.context, channel.exten = context, exten
        self.settle(channel)
        if self.has_extension(context, exten):
            channel.work = self.begin(self._after(channel.work, self.dialplan[context], channel))
        else:
            self.hang_up(channel, 16)

    async def _after(self, work: "asyncio.Task[None] | None", then: Work, channel: Channel) -> None:
        """Let a channel's last work say its last words, then begin the next."""
        left = channel.left
        if work is not None and not work.done():
            await asyncio.wait((work,), timeout=LAST_WORDS_S)
        if channel.is_free(left):
            await then(channel)

    def send(self, channel: Channel, context: str, exten: str) -> None:
        """Take a channel out of what it does, and run it elsewhere."""
        channel.leave("sent")
        self.unbridge(channel)
        self.run(channel, context, exten)
