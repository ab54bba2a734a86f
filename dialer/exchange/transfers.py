"""Giving a conversation to somebody else on a loopback exchange: at once, or after speaking with them first."""

from dialer.exchange.channels import Bridge, Channel
from dialer.exchange.people import Party
from dialer.exchange.switchboard import Switchboard

DIGITS_S = 0.25
"""Until the exchange has understood that a transfer is wanted, and again until it has heard to whom."""
PROMPTS_S = 14.0
"""Three times "that is no valid extension", before an agent is back with the customer."""

AT_HAND = Party(rings_s=0, stays_s=1e9)
"""Behind a local channel is our own dialplan."""


def blind(board: Switchboard, agent: Channel, other: Channel, context: str, exten: str) -> None:
    """Send whoever the agent talks with elsewhere and the agent away. Nobody asks whether there is such a place."""
    headers = [("Result", "Success"), *agent.shown("Transferer"), *other.shown("Transferee")]
    if agent.bridge is not None:
        headers += agent.bridge.shown()
    board.of_channel("Unhold", agent)
    board.event("BlindTransfer", *headers, ("IsExternal", "Yes"), ("Context", context), ("Extension", exten))
    board.send(other, context, exten)
    board.hang_up(agent, 16)


class Attended:
    """A transfer that the agent announces: customer on hold, a second conversation, then the two become one."""

    def __init__(self, board: Switchboard, agent: Channel, customer: Channel) -> None:
        self.board = board
        self.agent = agent
        self.customer = customer
        self.first = agent.bridge

    async def run(self, context: str, exten: str) -> None:
        """Speak with whoever is at `exten`; it completes when the agent hangs up, and ends when nobody is there."""
        await self.board.pause(DIGITS_S, self.agent, self.customer)
        if not self._is_on():
            return
        self._hold(True)
        await self.board.pause(DIGITS_S, self.agent, self.customer)
        if not exten.isdigit() or not self.board.has_extension(context, exten):
            await self.board.pause(PROMPTS_S, self.agent, self.customer)
        elif self._is_on():
            await self._consult(context, exten)
        if self._is_on():
            self._hold(False)

    def _is_on(self) -> bool:
        """Return whether both are still there, and with each other or about to be again."""
        return not (self.agent.is_gone or self.customer.is_gone or self.customer.bridge is not self.first)

    def _hold(self, is_held: bool) -> None:
        self.board.of_channel("Hold" if is_held else "Unhold", self.agent)
        if is_held:
            self.board.of_channel("MusicOnHoldStart", self.customer, ("Class", "default"))
        else:
            self.board.of_channel("MusicOnHoldStop", self.customer)

    async def _consult(self, context: str, exten: str) -> None:
        near, far = self._pair(context, exten)
        second = self.board.new_bridge()
        self.board.enter(near, second)
        self._move(self.agent, second)
        self.agent.before_gone = lambda: self._complete(near)
        self.board.run(far, context, exten)
        await self.board.pause(near.party.stays_s, near, self.agent, self.customer)
        if self._is_on() and near.is_gone:
            self.agent.before_gone = None
            self._move(self.agent, self.first)

    def _pair(self, context: str, exten: str) -> tuple[Channel, Channel]:
        """Make the two halves of a local channel: one for the agent, one that goes through the dialplan."""
        name, call = f"Local/{exten}@{context}", self.agent.linkedid
        near = self.board.make(name, linkedid=call, context=context, exten=exten, ending=";1", party=AT_HAND)
        far = self.board.make(
            name, linkedid=call, context=context, exten=exten, ending=";2", state="Ring", party=AT_HAND
        )
        near.half, far.half = far, near
        return near, far

    def _move(self, channel: Channel, to: Bridge | None) -> None:
        if to is not None and channel.bridge is not to:
            self.board.enter(channel, to)

    def _complete(self, near: Channel) -> None:
        """Bring the customer together with whoever was asked, as the agent goes."""
        first, second = self.first, self.agent.bridge
        if not self._is_on() or near.is_gone or first is None or second is None:
            return
        self.board.event("BridgeMerge", *first.shown("To"), *second.shown("From"))
        self.board.of_channel("MusicOnHoldStop", self.customer)
        self.board.enter(near, first)
        self.board.event(
            "AttendedTransfer", ("Result", "Success"), *self.agent.shown("OrigTransferer"), *first.shown("Orig"),
            *self.agent.shown("SecondTransferer"), *second.shown("Second"), *self.customer.shown("Transferee"),
            *near.shown("TransferTarget"), ("IsExternal", "No"), ("DestType", "Bridge"),
            ("DestBridgeUniqueid", first.id),
        )  # fmt: skip
        self.board.meet(self.customer, near)
