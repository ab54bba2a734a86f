"""AMI's actions on queues of a loopback exchange, answered in the words of the real one."""

from collections.abc import Callable

from dialer.exchange.queues import Entry, Member, Queue
from dialer.exchange.replies import Reply, Said, done, listed, refuse
from dialer.exchange.switchboard import Header, Switchboard

YES = ("true", "1", "yes", "on")


class QueueActions:
    """What may be asked of queues. `is_closed`: there are no queues but those of the board."""

    def __init__(self, board: Switchboard, *, is_closed: bool = False) -> None:
        self.board = board
        self.is_closed = is_closed
        self.known: dict[str, Callable[[Said], Reply]] = {
            "queueadd": self.add, "queueremove": self.remove, "queuepause": self.pause, "queuepenalty": self.penalise,
            "queuestatus": self.status, "queuechangeprioritycaller": self.prioritise,
        }  # fmt: skip

    def _queue(self, said: Said) -> Queue | None:
        name = said.get("queue", "")
        if self.is_closed or not name:
            return self.board.queues.get(name)
        return self.board.queues.setdefault(name, Queue(name))

    def _tell(self, event: str, queue: Queue, member: Member) -> None:
        self.board.event(event, *member.shown(queue.name, self.board.status_of(member.interface)))

    def add(self, said: Said) -> Reply:
        """Let an agent take a queue's calls."""
        queue, interface = self._queue(said), said.get("interface", "")
        if queue is None:
            return refuse("Unable to add interface to queue: No such queue")
        if interface in queue.members:
            return refuse("Unable to add interface: Already there")
        is_paused, penalty = said.get("paused", "").lower() in YES, _number(said.get("penalty", "0"))
        member = Member(interface, said.get("membername", interface), penalty, is_paused)
        queue.members[interface] = member
        self._tell("QueueMemberAdded", queue, member)
        return done("Added interface to queue")

    def remove(self, said: Said) -> Reply:
        """Let them take no more."""
        queue = self._queue(said)
        if queue is None:
            return refuse("Unable to remove interface from queue: No such queue")
        member = queue.members.pop(said.get("interface", ""), None)
        if member is None:
            return refuse("Unable to remove interface: Not there")
        self._tell("QueueMemberRemoved", queue, member)
        return done("Removed interface from queue")

    def _places(self, said: Said) -> list[tuple[Queue, Member]]:
        """Return where an interface is a member: in the queue that is named, or in all."""
        name, interface = said.get("queue", ""), said.get("interface", "")
        queues = [each for each in self.board.queues.values() if name in ("", each.name)]
        return [(each, each.members[interface]) for each in queues if interface in each.members]

    def pause(self, said: Said) -> Reply:
        """Pause an agent in a queue, or in all."""
        is_paused, reason = said.get("paused", "").lower() in YES, said.get("reason", "")
        places = self._places(said)
        if not places:
            return refuse("Interface not found")
        for queue, member in places:
            member.is_paused, member.reason = is_paused, reason
            self._tell("QueueMemberPause", queue, member)
            if not is_paused:
                member.reason = ""
        return done(f"Interface {'paused' if is_paused else 'unpaused'} successfully")

    def penalise(self, said: Said) -> Reply:
        """Give an agent another penalty: the lower, the sooner they are called."""
        places, penalty = self._places(said), said.get("penalty", "")
        if not places or not penalty.isdigit():
            return refuse("Invalid interface, queuename or penalty")
        for queue, member in places:
            member.penalty = int(penalty)
            self._tell("QueueMemberPenalty", queue, member)
        return done("Interface penalty set successfully")

    def prioritise(self, said: Said) -> Reply:
        """Give a waiting caller, named by the channel's name, another priority: the higher, the sooner."""
        queue, priority = self.board.queues.get(said.get("queue", "")), said.get("priority", "")
        if queue is None:
            return refuse("Unable to change priority caller on queue: No such queue")
        entry = next((each for each in queue.waiting if each.channel.name == said.get("caller")), None)
        if entry is None or not priority.isdigit():
            return refuse("Unable to change priority caller on queue: No such caller")
        entry.priority = int(priority)
        if said.get("immediate", "").lower() in YES:  # or else only who joins later is placed by it
            queue.waiting.remove(entry)
            queue.put(entry)
        return done("Priority change for caller on queue")

    def status(self, said: Said) -> Reply:
        """List queues, their agents and callers."""
        rows: list[list[Header]] = []
        for queue in self.board.queues.values():
            if said.get("queue") in (None, "", queue.name):
                rows.append(_queue_row(queue))
                rows += [self._member_row(queue, member) for member in queue.members.values()]
                rows += [self._entry_row(queue, entry) for entry in queue.waiting]
        return listed("Queue status will follow", [*rows, [("Event", "QueueStatusComplete")]])

    def _member_row(self, queue: Queue, member: Member) -> list[Header]:
        renamed = {"MemberName": "Name", "Interface": "Location"}
        shown = member.shown(queue.name, self.board.status_of(member.interface))
        return [("Event", "QueueMember"), *((renamed.get(n, n), value) for n, value in shown if n != "Ringinuse")]

    def _entry_row(self, queue: Queue, entry: Entry) -> list[Header]:
        channel = entry.channel
        return [
            ("Event", "QueueEntry"), ("Queue", queue.name), ("Position", str(queue.position(entry))),
            ("Channel", channel.name), ("Uniqueid", channel.uniqueid), ("CallerIDNum", channel.caller[0]),
            ("CallerIDName", channel.caller[1]), ("Wait", str(int(self.board.now() - entry.joined))),
            ("Priority", str(entry.priority)),
        ]  # fmt: skip


def _queue_row(queue: Queue) -> list[Header]:
    return [
        ("Event", "QueueParams"), ("Queue", queue.name), ("Max", "0"), ("Strategy", "rrmemory"),
        ("Calls", str(len(queue.waiting))), ("Completed", str(queue.completed)), ("Abandoned", str(queue.abandoned)),
        ("Weight", str(queue.weight)),
    ]  # fmt: skip


def _number(said: str) -> int:
    return int(said) if said.isdigit() else 0
