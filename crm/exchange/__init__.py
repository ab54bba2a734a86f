"""What is asked of the telephone exchange: asked in the transaction that wants it, sent once by the bridge.

An ask holds ids and codes; the number of a person is taken from the vault at the moment of sending. What came of it
stays with it, with the reason when it failed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from crm import ids
from crm.db import Tx, to_json


class Kind(StrEnum):
    """What can be asked. Legs (`leg`, `to_leg`, …) are the exchange's ids of channels; endpoints are dial strings of
    agents; queues are codes."""

    originate = "originate"
    """Begin the call `call_id`."""
    hang_up = "hang_up"
    """End `leg`."""
    hold = "hold"
    """Take `leg` (customer) and `agent_leg` out of their conversation, the customer to music."""
    resume = "resume"
    """Bring `leg` and `agent_leg` together again."""
    mute = "mute"
    """Let `leg` be heard or not (`is_muted`)."""
    play_dtmf = "play_dtmf"
    """Play `digits` to `leg`."""
    redirect = "redirect"
    """Send `leg` to `context` and `exten`."""
    blind_transfer = "blind_transfer"
    """Give the other party of `leg` to `context` and `exten`."""
    attended_transfer = "attended_transfer"
    """Let `leg` speak with `exten` in `context` first, then give it the other party."""
    spy = "spy"
    """Ring `endpoint` and let it hear `leg`; `mode`: listen, whisper or barge."""
    conference = "conference"
    """Send `legs` to the conference `room`."""
    queue_add = "queue_add"
    """Make `endpoint` a member of `queue` with `penalty`, `is_paused`."""
    queue_remove = "queue_remove"
    """Take `endpoint` out of `queue`."""
    queue_pause = "queue_pause"
    """Pause or unpause `endpoint` in `queue`, or in all its queues (`is_paused`, `reason`)."""
    queue_penalty = "queue_penalty"
    """Give `endpoint` another `penalty` in `queue`."""
    caller_priority = "caller_priority"
    """Give the waiting `leg` another `priority` in `queue`: the higher, the sooner."""


SQL = """
insert into crm.exchange_ask (tenant_id, id, call_id, kind, args, asked_by, asked_at, expires_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::jsonb, $6::uuid, $7::timestamptz, $8::timestamptz)
"""
GOOD_FOR = timedelta(seconds=15)
"""What was not sent by then is not wanted any more: a call after a pause nobody expects."""


async def ask(
    tx: Tx, kind: Kind, args: Mapping[str, Any] | None = None, *, call_id: UUID | None = None,
    good_for: timedelta = GOOD_FOR, now: datetime,
) -> UUID:  # fmt: skip
    """Ask something of the exchange, within the operation that wants it; return the ask's id.

    The operation's own event wakes the bridge. `args` holds ids and codes only.
    """
    ask_id = ids.new()
    await tx.execute(
        SQL, tx.actor.tenant_id, ask_id, call_id, kind.value, to_json(args or {}), tx.actor.user_id, now, now + good_for
    )
    return ask_id
