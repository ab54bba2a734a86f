"""What a loopback exchange does with channels that have answered: the contexts of our own dialplan.

They are those of `docs/operations` for a real exchange: `outbound`, `predictive`, `predictive-amd`, `inbound`, `hold`,
`park`, `survey`.
"""

from dialer.exchange.channels import Channel, Member, Queue
from dialer.exchange.people import Answer
from dialer.exchange.switchboard import Switchboard

RING_AGENT_S = 10.0
RETRY_S = 1.0
DETECT_S = 2.0
SURVEY_S = 3.0


class Dialplan:
    """The contexts, for the channels of a switchboard."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board
        board.dialplan |= {
            "outbound": self.dial_out, "predictive": self.to_queue, "predictive-amd": self.detect,
            "inbound": self.to_queue, "hold": self.listen, "park": self.listen, "survey": self.survey,
        }  # fmt: skip

    async def converse(self, one: Channel, other: Channel) -> None:
        """Let two talk until one of them leaves; each party hangs up in its own time."""
        self.board.bridge(one, other)
        stays = sorted((each.party.stays_s, n) for n, each in enumerate((one, other)))
        seconds, who = stays[0]
        if await self.board.pause(seconds, one, other):
            self.board.hang_up((one, other)[who], 16)

    async def dial_out(self, channel: Channel) -> None:
        """Call a customer for an agent who is there already: context `outbound`."""
        if self.board.people(f"PJSIP/{channel.exten}@carrier").answer is Answer.absent:
            self._report(channel, "CHANUNAVAIL", 0)
            return self.board.hang_up(channel, 16)
        customer = self.board.make(
            f"PJSIP/{channel.exten}@carrier", linkedid=channel.linkedid, context="customers", caller=channel.caller,
            variables=channel.variables.items(),
        )  # fmt: skip
        status = await self.board.ring(customer, by=channel)
        if status == "ANSWER":
            doing = [(each, each.left) for each in (customer, channel)]
            await self.converse(channel, customer)
            return self.board.finish(doing)
        if not channel.is_gone:
            self._report(channel, status, customer.cause)
        return self.board.hang_up(channel, customer.cause or 16)

    def _report(self, channel: Channel, status: str, cause: int) -> None:
        call_id = channel.variables.get("DIALER_CALL_ID", "")
        self.board.of_channel(
            "UserEvent", channel, ("UserEvent", "DialResult"), ("CallId", call_id), ("DialStatus", status),
            ("HangupCause", str(cause)),
        )  # fmt: skip

    def _set(self, channel: Channel, variable: str, value: str) -> None:
        channel.variables[variable] = value
        self.board.of_channel("VarSet", channel, ("Variable", variable), ("Value", value))

    async def detect(self, channel: Channel) -> None:
        """Tell a person from a machine, then on to the queue: context `predictive-amd`."""
        is_machine = channel.party.answer is Answer.machine
        if not await self.board.pause(DETECT_S, channel):
            return
        verdict, why = ("MACHINE", "LONGGREETING-1500-1500") if is_machine else ("HUMAN", "HUMAN-800-800")
        self._set(channel, "AMDSTATUS", verdict)
        self.board.of_channel(
            "UserEvent", channel, ("UserEvent", "AmdResult"), ("Status", verdict), ("Cause", why),
        )  # fmt: skip
        if is_machine:
            self.board.hang_up(channel, 16)
        else:
            await self.to_queue(channel)

    async def to_queue(self, channel: Channel) -> None:
        """Wait for an agent: contexts `predictive` and `inbound`; `QUEUE_SECS` limits the wait."""
        if channel.state != "Up":
            self.board.set_state(channel, "Up")
        queue = self.board.queues.setdefault(channel.exten, Queue(channel.exten))
        if not queue.members:
            return self._let_go(channel, "JOINEMPTY")
        queue.waiting.append(channel)
        place = str(len(queue.waiting))
        self.board.of_channel("QueueCallerJoin", channel, ("Queue", queue.name), ("Position", place), ("Count", place))
        self.board.of_channel("MusicOnHoldStart", channel, ("Class", "default"))
        joined, left = self.board.now(), channel.left
        limit = float(channel.variables.get("QUEUE_SECS", "3600"))
        found = await self._find_agent(queue, channel, joined, limit)
        self.board.of_channel("MusicOnHoldStop", channel)
        queue.waiting.remove(channel)
        if found is not None:
            self._leave(queue, channel)
            return await self._serve(queue, channel, *found, joined)
        if channel.is_gone or channel.is_free(left):
            self._abandon(queue, channel, joined)
        self._leave(queue, channel)
        return self._let_go(channel, "TIMEOUT") if channel.is_free(left) else None

    def _leave(self, queue: Queue, channel: Channel) -> None:
        count = str(len(queue.waiting))
        self.board.of_channel("QueueCallerLeave", channel, ("Queue", queue.name), ("Position", "1"), ("Count", count))

    def _let_go(self, channel: Channel, status: str) -> None:
        self._set(channel, "QUEUESTATUS", status)
        call_id = channel.variables.get("DIALER_CALL_ID", "")
        self.board.of_channel(
            "UserEvent", channel, ("UserEvent", "QueueResult"), ("CallId", call_id), ("QueueStatus", status)
        )
        self.board.hang_up(channel, 16)

    def _abandon(self, queue: Queue, channel: Channel, joined: float) -> None:
        queue.abandoned += 1
        waited = str(round(self.board.now() - joined))
        place = ("Queue", queue.name), ("Position", "1"), ("OriginalPosition", "1")
        self.board.of_channel("QueueCallerAbandon", channel, *place, ("HoldTime", waited))

    async def _find_agent(
        self, queue: Queue, channel: Channel, joined: float, limit: float
    ) -> tuple[Member, Channel, float] | None:
        """Ring one free agent after the other; return who answered, on which channel, ringing since when."""
        gives_up, left = joined + min(limit, channel.party.patience_s), channel.left
        while not left.done():
            left_s = gives_up - self.board.now()
            if left_s <= 0:
                if limit > channel.party.patience_s:
                    self.board.hang_up(channel, 16)
                return None
            member = queue.free() if queue.waiting[0] is channel else None
            if member is None:
                await self.board.pause(min(RETRY_S / 4, left_s), channel)
                continue
            since = self.board.now()
            agent = await self._ring_agent(queue, channel, member, since)
            if agent is not None:
                return member, agent, since
            await self.board.pause(RETRY_S, channel)
        return None

    async def _ring_agent(self, queue: Queue, channel: Channel, member: Member, since: float) -> Channel | None:
        member.is_busy = True
        agent = self.board.make(
            member.interface, linkedid=channel.linkedid, context="agents", caller=channel.caller,
            variables=channel.variables.items(),
        )  # fmt: skip
        told = [("Queue", queue.name), ("Interface", member.interface), ("MemberName", member.name)]
        dest = agent.shown("Dest")
        self.board.of_channel("AgentCalled", channel, *dest, *told)
        if await self.board.ring(agent, by=channel, within_s=RING_AGENT_S) == "ANSWER":
            return agent
        member.is_busy, member.last_call = False, self.board.now()
        if not channel.is_gone:
            rung = str(round(1000 * (self.board.now() - since)))
            self.board.of_channel("AgentRingNoAnswer", channel, *dest, *told, ("RingTime", rung))
            self.board.event("DialEnd", *channel.shown(), *dest, ("DialStatus", "CANCEL"))
        return None

    async def _serve(
        self, queue: Queue, channel: Channel, member: Member, agent: Channel, since: float, joined: float
    ) -> None:
        dest = agent.shown("Dest")
        told = [("Queue", queue.name), ("Interface", member.interface), ("MemberName", member.name)]
        waited, rung, began = round(self.board.now() - joined), round(self.board.now() - since), self.board.now()
        self.board.of_channel("AgentConnect", channel, *dest, *told, ("HoldTime", str(waited)), ("RingTime", str(rung)))
        self.board.event("QueueMemberStatus", *member.shown(queue.name))
        doing = [(each, each.left) for each in (agent, channel)]
        await self.converse(agent, channel)
        by = "agent" if agent.is_gone else "caller" if channel.is_gone else "transfer"
        talked = str(round(self.board.now() - began))
        queue.completed += 1
        member.is_busy, member.last_call, member.calls_taken = False, self.board.now(), member.calls_taken + 1
        self.board.of_channel(
            "AgentComplete", channel, *dest, *told, ("HoldTime", str(waited)), ("TalkTime", talked), ("Reason", by)
        )
        self.board.event("QueueMemberStatus", *member.shown(queue.name))
        self.board.finish(doing)

    async def listen(self, channel: Channel) -> None:
        """Hear music until fetched: contexts `hold` and `park`."""
        left = channel.left
        self.board.of_channel("MusicOnHoldStart", channel, ("Class", "default"))
        await self.board.pause(channel.party.stays_s, channel)
        if not channel.is_gone:
            self.board.of_channel("MusicOnHoldStop", channel)
        self.board.finish([(channel, left)])

    async def survey(self, channel: Channel) -> None:
        """Answer some questions: where a blind transfer may go."""
        left = channel.left
        await self.board.pause(SURVEY_S, channel)
        self.board.finish([(channel, left)])
