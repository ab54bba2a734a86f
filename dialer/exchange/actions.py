"""AMI's actions on calls of a loopback exchange, answered in the words of the real one."""

import re
from collections.abc import Callable

from dialer.exchange.channels import Channel
from dialer.exchange.replies import Reply, Said, done, listed, refuse
from dialer.exchange.ringing import originate, party_of, refuse_originate
from dialer.exchange.spying import spy
from dialer.exchange.switchboard import Header, Switchboard
from dialer.exchange.transfers import Attended, blind

LONGEST_ID = 149
FORBIDDEN = frozenset(
    {"system", "trysystem", "exec", "execif", "agi", "deadagi", "externalivr", "mixmonitor", "mset", "originate"}
)
"""Applications that a user without write `system` may not begin a call with."""
DTMF = re.compile(r"[0-9A-Da-d*#]")


class CallActions:
    """What may be asked of calls."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board
        self.known: dict[str, Callable[[Said], Reply]] = {
            "originate": self.originate, "hangup": self.hang_up, "redirect": self.redirect, "bridge": self.bridge,
            "blindtransfer": self.transfer, "atxfer": self.consult, "setvar": self.set_variable,
            "getvar": self.get_variable, "playdtmf": self.play, "coreshowchannels": self.channels,
            "bridgelist": self.bridges,
        }  # fmt: skip

    def originate(self, said: Said) -> Reply:
        """Call somebody."""
        application = said.get("application", "")
        if application.lower() in FORBIDDEN:
            return refuse("Originate Access Forbidden")
        if "channel" not in said:
            return refuse("Channel not specified")
        context, exten = said.get("context", ""), said.get("exten", "")
        if not application and not (exten and self.board.has_extension(context, exten)):
            return refuse("Extension does not exist.")
        if len(said.get("channelid", "")) > LONGEST_ID:
            return refuse("Uniqueid length exceeds maximum of 149")
        self.board.begin(self._originate(said))
        return done("Originate successfully queued")

    async def _originate(self, said: Said) -> None:
        dial_string, action_id, call_id = said["channel"], said.get("actionid", ""), said.get("channelid", "")
        asked = _asked(said)
        live = self.board.find(call_id) if call_id else None
        if live is not None or party_of(self.board.people, dial_string) is None:
            return refuse_originate(self.board, dial_string, call_id, action_id, asked)
        channel = self.board.make(
            dial_string, uniqueid=call_id, context="agents", caller=_caller(said.get("callerid", "")),
            variables=[(name.lstrip("_"), value) for name, value in _variables(said)],
        )  # fmt: skip
        within_s = float(said.get("timeout", "30000")) / 1000
        if await originate(self.board, channel, action_id, asked, within_s):
            if said.get("application", "").lower() == "chanspy":
                return await spy(self.board, channel, said.get("data", ""))
            self.board.run(channel, said.get("context", ""), said.get("exten", ""))
        return None

    def _channel(self, said: Said, key: str = "channel") -> Channel | None:
        return self.board.find(said.get(key, ""))

    def hang_up(self, said: Said) -> Reply:
        """End a channel, by its name or unique id."""
        if not said.get("channel"):
            return refuse("No channel specified")
        channel = self._channel(said)
        if channel is None:
            return refuse("No such channel")
        channel.is_cut = True
        self.board.hang_up(channel, int(said.get("cause", "16")))
        return done("Channel Hungup")

    def redirect(self, said: Said) -> Reply:
        """Send one channel, or two, elsewhere in the dialplan; whoever is left alone ends."""
        sent = [(said.get("channel", ""), said.get("context", ""), said.get("exten", ""))]
        if said.get("extrachannel"):
            sent.append((said["extrachannel"], said.get("extracontext", ""), said.get("extraexten", "")))
        found: list[tuple[Channel, str, str]] = []
        for name, context, exten in sent:
            channel = self.board.find(name)
            if channel is None:
                return refuse(f"Channel does not exist: {name}")
            found.append((channel, context, exten))
        for channel, _, _ in found:
            channel.leave("sent")
        for channel, context, exten in found:
            self.board.send(channel, context, exten)
        return done("Dual Redirect successful" if len(found) > 1 else "Redirect successful")

    def bridge(self, said: Said) -> Reply:
        """Let two channels talk; two that do already are torn apart and end, as on the real one."""
        one, other = self._channel(said, "channel1"), self._channel(said, "channel2")
        if one is None or other is None:
            return refuse("Channel1 does not exist" if one is None else "Channel2 does not exist")
        if one.bridge is not None and one.bridge is other.bridge:
            self.board.hang_up(one, 16)
            self.board.hang_up(other, 16)
            return refuse(f"Unable to add Channel2 to bridge: {said['channel2']}")
        bridge = self.board.new_bridge()
        for each in (one, other):
            each.leave("sent")
            self.board.enter(each, bridge)
        self.board.meet(one, other)
        return done("Channels have been bridged")

    def transfer(self, said: Said) -> Reply:
        """Send whoever the channel talks with elsewhere, and end it."""
        agent = self._channel(said)
        if agent is None:
            return refuse("Channel specified does not exist")
        if not agent.others:
            return refuse("Transfer failed")
        blind(self.board, agent, agent.others[0], said.get("context", ""), said.get("exten", ""))
        return done("Transfer succeeded")

    def consult(self, said: Said) -> Reply:
        """Let a channel speak with somebody before it gives them whoever it talks with."""
        agent = self._channel(said)
        if agent is None:
            return refuse("Channel specified does not exist")
        if agent.others and agent.before_gone is None:
            transfer = Attended(self.board, agent, agent.others[0])
            self.board.begin(transfer.run(said.get("context", ""), said.get("exten", "")))
        return done("Atxfer successfully queued")  # what it says is only that the digits were taken

    def get_variable(self, said: Said) -> Reply:
        """Tell a variable of a channel."""
        channel, name = self._channel(said), said.get("variable", "")
        if channel is None:
            return refuse("No such channel")
        return "Success", [("Variable", name), ("Value", channel.variables.get(name, ""))], ()

    def set_variable(self, said: Said) -> Reply:
        """Set a channel's variable; `MUTEAUDIO(in)` lets it be heard or not."""
        if not said.get("variable"):
            return refuse("No variable specified")
        channel = self._channel(said)
        if channel is None:
            return refuse("No such channel")
        name, value = said["variable"], said.get("value", "")
        if name.startswith("MUTEAUDIO("):
            channel.is_muted = value.lower() in ("on", "yes", "true", "1")
        else:
            channel.variables[name.lstrip("_")] = value
        return done("Variable Set")

    def play(self, said: Said) -> Reply:
        """Send a tone."""
        if self._channel(said) is None:
            return refuse("Channel not found")
        return (
            done("DTMF successfully queued") if DTMF.fullmatch(said.get("digit", "")) else refuse("No digit specified")
        )

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


def _asked(said: Said) -> list[Header]:
    if application := said.get("application"):
        return [("Application", application), ("Data", said.get("data", ""))]
    return [("Context", said.get("context", "")), ("Exten", said.get("exten", ""))]


def _caller(said: str) -> Header:
    found = re.fullmatch(r'\s*"?([^"<]*?)"?\s*<([^>]*)>\s*', said)
    return (found[2], found[1]) if found else (said or "<unknown>", "<unknown>")


def _variables(said: Said) -> list[Header]:
    parted = (line.partition("=") for line in said.get("variable", "").split("\n") if line)
    return [(name, value) for name, _, value in parted]
