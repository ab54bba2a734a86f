"""AMI's actions on a loopback exchange, answered in the words of the real one."""

import re
from collections.abc import Callable, Sequence

from dialer.exchange.channels import Channel, Member, Queue
from dialer.exchange.people import People
from dialer.exchange.switchboard import Header, Switchboard, party_of

Said = dict[str, str]
Rows = Sequence[Sequence[Header]]
Reply = tuple[str, Sequence[Header], Rows]
"""Response, its headers, and the rows of a list."""
LONGEST_ID = 149


def refuse(message: str) -> Reply:
    """Refuse an action."""
    return "Error", [("Message", message)], ()


def done(message: str = "") -> Reply:
    """Say that an action is done, or under way."""
    return "Success", [("Message", message)] if message else [], ()


def listed(message: str, rows: Rows) -> Reply:
    """Answer with a list."""
    return "Success", [("EventList", "start"), ("Message", message)], rows


class Actions:
    """What may be asked of a switchboard."""

    def __init__(self, board: Switchboard, people: People) -> None:
        self.board = board
        self.people = people
        self.known: dict[str, Callable[[Said], Reply]] = {
            "originate": self.originate, "hangup": self.hang_up, "redirect": self.redirect, "bridge": self.bridge,
            "blindtransfer": self.transfer, "queueadd": self.queue_add, "queueremove": self.queue_remove,
            "queuepause": self.queue_pause, "queuestatus": self.queue_status, "coreshowchannels": self.channels,
            "bridgelist": self.bridges, "muteaudio": self.act, "playdtmf": self.act,
        }  # fmt: skip

    def do(self, said: Said) -> Reply:
        """Do an action."""
        name = said.get("action", "")
        if found := self.known.get(name.lower()):
            return found(said)
        return refuse(f"Invalid/unknown command: {name}. Use Action: ListCommands to show available commands.")

    def originate(self, said: Said) -> Reply:
        """Call somebody."""
        if said.get("application", "").lower() == "system":
            return refuse("Originate Access Forbidden")
        if "channel" not in said:
            return refuse("Channel not specified")
        context, exten = said.get("context", ""), said.get("exten", "")
        if context not in self.board.dialplan or not exten:
            return refuse("Extension does not exist.")
        if len(said.get("channelid", "")) > LONGEST_ID:
            return refuse("Uniqueid length exceeds maximum of 149")
        self.board.begin(self._originate(said, context, exten))
        return done("Originate successfully queued")

    async def _originate(self, said: Said, context: str, exten: str) -> None:
        action_id, call_id = said.get("actionid", ""), said.get("channelid", "")
        live = self.board.find(call_id) if call_id else None
        if live is not None or party_of(self.people, said["channel"]) is None:
            self.board.event(
                "OriginateResponse", ("ActionID", action_id), ("Response", "Failure"), ("Channel", said["channel"]),
                ("Context", context), ("Exten", exten), ("Reason", "0"), ("Uniqueid", call_id or "<unknown>"),
                ("CallerIDNum", "<unknown>"), ("CallerIDName", "<unknown>"),
            )  # fmt: skip
            return
        channel = self.board.make(
            said["channel"], uniqueid=call_id, context="customers", caller=_caller(said.get("callerid", "")),
            variables=[(name.lstrip("_"), value) for name, value in _variables(said)],
        )  # fmt: skip
        await self.board.originate(channel, action_id, context, exten, float(said.get("timeout", "30000")) / 1000)

    def _channel(self, said: Said, key: str = "channel") -> Channel | None:
        return self.board.find(said.get(key, ""))

    def hang_up(self, said: Said) -> Reply:
        """End a channel, by its name or unique id."""
        if not said.get("channel"):
            return refuse("No channel specified")
        channel = self._channel(said)
        if channel is None:
            return refuse("No such channel")
        self.board.hang_up(channel, int(said.get("cause", "16")))
        return done("Channel Hungup")

    def redirect(self, said: Said) -> Reply:
        """Send one channel, or two, elsewhere in the dialplan."""
        sent = [(said.get("channel", ""), said.get("context", ""), said.get("exten", ""))]
        if said.get("extrachannel"):
            sent.append((said["extrachannel"], said.get("extracontext", ""), said.get("extraexten", "")))
        found = [(self.board.find(name), context, exten) for name, context, exten in sent]
        for (name, *_), (channel, *_) in zip(sent, found, strict=True):
            if channel is None:
                return refuse(f"Channel does not exist: {name}")
        for channel, context, exten in found:
            if context not in self.board.dialplan:
                return refuse("Redirect failed")
            self._send(channel, context, exten)
        return done("Dual Redirect successful" if len(found) > 1 else "Redirect successful")

    def _send(self, channel: Channel | None, context: str, exten: str) -> None:
        assert channel is not None
        channel.leave("sent")
        self.board.unbridge(channel)
        self.board.run(channel, context, exten)

    def bridge(self, said: Said) -> Reply:
        """Let two channels talk."""
        one, other = self._channel(said, "channel1"), self._channel(said, "channel2")
        if one is None or other is None:
            return refuse("Channel1 does not exist" if one is None else "Channel2 does not exist")
        for each in (one, other):
            each.leave("sent")
        self.board.join(one, other)
        return done("Channels have been bridged")

    def transfer(self, said: Said) -> Reply:
        """Send whoever the channel talks with elsewhere, and end it."""
        agent = self._channel(said)
        if agent is None:
            return refuse("Channel specified does not exist")
        context, exten = said.get("context", ""), said.get("exten", "")
        others = [each for each in agent.bridge.channels if each is not agent] if agent.bridge else []
        if context not in self.board.dialplan or not others:
            return refuse("Transfer failed")
        [other, *_] = others
        headers = [("Result", "Success")]
        headers += [*agent.shown("Transferer"), *other.shown("Transferee")]
        self.board.event("BlindTransfer", *headers, ("Context", context), ("Extension", exten))
        self._send(other, context, exten)
        self.board.hang_up(agent, 16)
        return done("Transfer succeeded")

    def act(self, said: Said) -> Reply:
        """Do what nobody sees: mute, or send tones."""
        return done() if self._channel(said) else refuse("No such channel")

    def _queue(self, said: Said) -> Queue:
        name = said.get("queue", "")
        return self.board.queues.setdefault(name, Queue(name))

    def queue_add(self, said: Said) -> Reply:
        """Let an agent take a queue's calls."""
        queue, interface = self._queue(said), said.get("interface", "")
        if interface in queue.members:
            return refuse("Unable to add interface: Already there")
        is_paused = said.get("paused", "").lower() in ("true", "1", "yes")
        member = Member(interface, said.get("membername", interface), int(said.get("penalty", "0")), is_paused)
        queue.members[interface] = member
        self.board.event("QueueMemberAdded", *member.shown(queue.name))
        return done("Added interface to queue")

    def queue_remove(self, said: Said) -> Reply:
        """Let them take no more."""
        queue = self._queue(said)
        member = queue.members.pop(said.get("interface", ""), None)
        if member is None:
            return refuse("Unable to remove interface: Not there")
        self.board.event("QueueMemberRemoved", *member.shown(queue.name))
        return done("Removed interface from queue")

    def queue_pause(self, said: Said) -> Reply:
        """Pause an agent in a queue, or in all."""
        is_paused, reason = said.get("paused", "").lower() in ("true", "1", "yes"), said.get("reason", "")
        queues = [self._queue(said)] if said.get("queue") else list(self.board.queues.values())
        found = [(queue, queue.members[i]) for queue in queues if (i := said.get("interface", "")) in queue.members]
        if not found:
            return refuse("Interface not found")
        for queue, member in found:
            member.is_paused, member.reason = is_paused, reason
            self.board.event("QueueMemberPause", *member.shown(queue.name))
            if not is_paused:
                member.reason = ""
        return done(f"Interface {'paused' if is_paused else 'unpaused'} successfully")

    def queue_status(self, said: Said) -> Reply:
        """List queues, their agents and callers."""
        rows: list[list[Header]] = []
        for queue in self.board.queues.values():
            if said.get("queue") in (None, "", queue.name):
                rows.append(
                    [("Event", "QueueParams"), ("Queue", queue.name), ("Max", "0"), ("Strategy", "leastrecent"),
                     ("Calls", str(len(queue.waiting))), ("Completed", str(queue.completed)),
                     ("Abandoned", str(queue.abandoned))]
                )  # fmt: skip
                rows += [_member_row(queue, member) for member in queue.members.values()]
                rows += [_entry_row(queue, n, channel) for n, channel in enumerate(queue.waiting, 1)]
        return listed("Queue status will follow", [*rows, [("Event", "QueueStatusComplete")]])

    def channels(self, said: Said) -> Reply:
        """List the live channels."""
        rows: list[list[Header]] = []
        for each in self.board.channels.values():
            seconds = int(self.board.now() - each.began)
            rows.append(
                [("Event", "CoreShowChannel"), *each.shown(), ("Application", ""),
                 ("Duration", f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"),
                 ("BridgeId", each.bridge.id if each.bridge else "")]
            )  # fmt: skip
        return listed("Channels will follow", [*rows, [("Event", "CoreShowChannelsComplete")]])

    def bridges(self, said: Said) -> Reply:
        """List the bridges."""
        rows = [[("Event", "BridgeListItem"), *each.shown()] for each in self.board.bridges.values()]
        return listed("Bridge listing will follow", [*rows, [("Event", "BridgeListComplete")]])


def _member_row(queue: Queue, member: Member) -> list[Header]:
    renamed = {"MemberName": "Name", "Interface": "Location"}
    headers = [(renamed.get(name, name), value) for name, value in member.shown(queue.name) if name != "Ringinuse"]
    return [("Event", "QueueMember"), *headers]


def _entry_row(queue: Queue, position: int, channel: Channel) -> list[Header]:
    return [
        ("Event", "QueueEntry"), ("Queue", queue.name), ("Position", str(position)), ("Channel", channel.name),
        ("Uniqueid", channel.uniqueid),
    ]  # fmt: skip


def _caller(said: str) -> Header:
    found = re.fullmatch(r'\s*"?([^"<]*?)"?\s*<([^>]*)>\s*', said)
    return (found[2], found[1]) if found else (said or "<unknown>", "<unknown>")


def _variables(said: Said) -> list[Header]:
    parted = (line.partition("=") for line in said.get("variable", "").split("\n") if line)
    return [(name, value) for name, _, value in parted]
