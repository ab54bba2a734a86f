"""Listening to a conversation on a loopback exchange: ChanSpy."""

from dialer.exchange.channels import Channel
from dialer.exchange.switchboard import Switchboard

BEGINS_S = 0.1


async def spy(board: Switchboard, spyer: Channel, data: str) -> None:
    """Let a channel listen to another one until one of them goes. `data`: the other's id or name, and options after a
    comma (`u`: it is an id or a whole name, `w` whisper, `B` barge, `S` end when the other has gone)."""
    wanted, _, options = data.partition(",")
    left = spyer.left
    await board.pause(BEGINS_S, spyer)
    heard = _find(board, wanted, options)
    if heard is None or spyer.is_gone:
        return board.finish([(spyer, left)])
    board.event("ChanSpyStart", *spyer.shown("Spyer"), *heard.shown("Spyee"))
    while not heard.is_gone and spyer.is_free(left) and not left.done():
        await board.pause(spyer.party.stays_s, spyer, heard)
    board.event("ChanSpyStop", *spyer.shown("Spyer"), *heard.shown("Spyee"))
    if spyer.is_free(left):
        board.hang_up(spyer, 0)
    return None


def _find(board: Switchboard, wanted: str, options: str) -> Channel | None:
    if "u" in options:
        return board.find(wanted)
    return next((each for each in board.channels.values() if wanted and each.name.startswith(wanted)), None)
