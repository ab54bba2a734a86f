"""Waiting in a queue of a loopback exchange: app_queue, in the words of the real one."""

from dataclasses import dataclass

from dialer.exchange.channels import Channel
from dialer.exchange.queues import UNAVAILABLE, Entry, Member, Queue
from dialer.exchange.ringing import ring
from dialer.exchange.switchboard import Header, Switchboard

RING_AGENT_S = 15.0
RETRY_S = 1.0
"""The two of `queues.conf`."""


@dataclass(frozen=True)
class Found:
    """An agent who answered for a caller, on which channel, ringing since when."""

    member: Member
    agent: Channel
    since: float


class Queueing:
    """What happens to a caller in a queue, until they speak with somebody or leave."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board

    async def wait(self, channel: Channel, name: str, limit_s: float) -> str:
        """Keep a caller until an agent has spoken with them; return QUEUESTATUS, empty when they have gone.

        `CALLBACK` is no word of the queue's own: it is what the dialplan tells of who pressed the key.

        Who speaks with an agent is hung up afterwards, or sent elsewhere meanwhile; both count as gone.
        """
        queue = self.board.queues.setdefault(name, Queue(name))
        if refused := self._refusal(queue):
            return refused
        left, entry = channel.left, self._join(queue, channel)
        found = await self._find_agent(queue, entry, limit_s)
        self.board.of_channel("MusicOnHoldStop", channel)
        place, is_timeout = queue.position(entry), found is None and channel.is_free(left)
        has_chosen = is_timeout and self._presses(entry)
        if found is None and not has_chosen:
            self._abandon(queue, entry, place)
        queue.waiting.remove(entry)
        self._leave(queue, channel, place)
        if found is not None:
            await self._serve(queue, entry, found)
        if has_chosen:
            return "CALLBACK"
        return "TIMEOUT" if is_timeout else ""

    def _refusal(self, queue: Queue) -> str:
        if not queue.members:
            return "JOINEMPTY"
        states = {self.board.status_of(each) for each in queue.members}
        return "JOINUNAVAIL" if states == {UNAVAILABLE} else ""

    def _join(self, queue: Queue, channel: Channel) -> Entry:
        priority = channel.variables.get("DIALER_PRIORITY", "")
        entry = Entry(channel, int(priority) if priority.isdigit() else 0, self.board.now())
        entry.original = queue.put(entry)
        place = ("Queue", queue.name), ("Position", str(entry.original)), ("Count", str(len(queue.waiting)))
        self.board.of_channel("QueueCallerJoin", channel, *place)
        self.board.of_channel("MusicOnHoldStart", channel, ("Class", "default"))
        return entry

    def _abandon(self, queue: Queue, entry: Entry, place: int) -> None:
        queue.abandoned += 1
        waited = str(round(self.board.now() - entry.joined))
        self.board.of_channel(
            "QueueCallerAbandon", entry.channel, ("Queue", queue.name), ("Position", str(place)),
            ("OriginalPosition", str(entry.original)), ("HoldTime", waited),
        )  # fmt: skip

    def _leave(self, queue: Queue, channel: Channel, place: int) -> None:
        count = ("Count", str(len(queue.waiting)))
        self.board.of_channel("QueueCallerLeave", channel, ("Queue", queue.name), ("Position", str(place)), count)

    async def _find_agent(self, queue: Queue, entry: Entry, limit_s: float) -> Found | None:
        """Ring one free agent after the other until one answers, the caller loses patience, or the time is over."""
        channel, left = entry.channel, entry.channel.left
        gives_up = entry.joined + min(limit_s, channel.party.patience_s)
        while not left.done() and not self._presses(entry):
            left_s = gives_up - self.board.now()
            if left_s <= 0:
                if limit_s > channel.party.patience_s:
                    self.board.hang_up(channel, 0 if channel.context == "inbound" else 16)
                return None
            member = self._free(queue) if queue.next() is entry else None
            if member is None:
                await self.board.pause(min(RETRY_S / 4, left_s), channel)
                continue
            since = self.board.now()
            entry.is_ringing = True
            agent = await self._ring_agent(queue, channel, member, min(RING_AGENT_S, left_s))
            entry.is_ringing = False
            if agent is not None:
                return Found(member, agent, since)
            await self.board.pause(RETRY_S, channel)
        return None

    def _presses(self, entry: Entry) -> bool:
        """Return whether a caller has pressed the key to be called back by now."""
        after_s = entry.channel.party.presses_after_s
        return after_s is not None and self.board.now() - entry.joined >= after_s

    def _free(self, queue: Queue) -> Member | None:
        """Return who is called next: among the lowest penalty the one whose turn it is (`rrmemory`)."""
        able = [
            each for each in queue.members.values()
            if not each.is_paused and not self.board.in_use[each.interface]
            and self.board.status_of(each.interface) != UNAVAILABLE and not self._is_wanted(each, queue)
        ]  # fmt: skip
        return min(able, key=lambda each: (each.penalty, each.last_tried), default=None)

    def _is_wanted(self, member: Member, queue: Queue) -> bool:
        """Return whether a queue of more weight has somebody waiting for an agent."""
        heavier = (each for each in self.board.queues.values() if each.weight > queue.weight and each.next())
        return any(member.interface in each.members for each in heavier)

    async def _ring_agent(self, queue: Queue, channel: Channel, member: Member, within_s: float) -> Channel | None:
        since = member.last_tried = self.board.now()
        agent = self.board.make(
            member.interface, linkedid=channel.linkedid, context="agents", caller=channel.caller,
            variables=channel.variables.items(),
        )  # fmt: skip
        told, dest = _told(queue, member), agent.shown("Dest")
        self.board.of_channel("AgentCalled", channel, *dest, *told)
        if await ring(self.board, agent, by=channel, within_s=within_s) == "ANSWER":
            return agent
        if not channel.is_gone:
            rung = str(round(1000 * (self.board.now() - since)))
            self.board.of_channel("AgentRingNoAnswer", channel, *dest, *told, ("RingTime", rung))
            self.board.event("DialEnd", *channel.shown(), *dest, ("DialStatus", "CANCEL"))
        return None

    async def _serve(self, queue: Queue, entry: Entry, found: Found) -> None:
        """Let caller and agent talk."""
        channel, agent, member, began = entry.channel, found.agent, found.member, self.board.now()
        waited = ("HoldTime", str(round(began - entry.joined)))
        told, dest, member.is_in_call = _told(queue, member), agent.shown("Dest"), True
        rung = ("RingTime", str(round(began - found.since)))
        self.board.of_channel("AgentConnect", channel, *dest, *told, waited, rung)
        doing = [(each, each.left) for each in (agent, channel)]
        was_with_caller = channel.left
        bridge = self.board.new_bridge()
        for each in (agent, channel):
            self.board.enter(each, bridge)
        await converse(self.board, agent, channel)
        is_transferred = was_with_caller.done() and was_with_caller.result() == "sent"
        # An agent's leg that is cut by the manager counts as the caller's doing; only a telephone's own end does not.
        by = "transfer" if is_transferred else "agent" if agent.is_gone and not agent.is_cut else "caller"
        queue.completed += 1
        member.is_in_call, member.last_call, member.calls_taken = False, self.board.now(), member.calls_taken + 1
        talked = ("TalkTime", str(round(self.board.now() - began)))
        self.board.of_channel("AgentComplete", channel, *dest, *told, waited, talked, ("Reason", by))
        self.board.finish(doing)
        self.board.tell_device(member.interface)


def _told(queue: Queue, member: Member) -> list[Header]:
    return [("Queue", queue.name), ("Interface", member.interface), ("MemberName", member.name)]


async def converse(board: Switchboard, one: Channel, other: Channel) -> None:
    """Let two talk until one of them leaves; each party hangs up in its own time."""
    stays = sorted((each.party.stays_s, n) for n, each in enumerate((one, other)))
    seconds, who = stays[0]
    if await board.pause(seconds, one, other):
        board.hang_up((one, other)[who], 16)
