"""After a silence: our calls are compared with those the exchange has, and what was missed is told as facts.

Every event between two connections is lost. What the exchange still has is taken as it stands now; what it has no more
has vanished; what it has and we have given up is hung up.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import structlog

from crm import db
from crm.calls.facts import BridgeEntered, Fact, LegAnswered, LegRinging, LegStarted, MemberChanged, Vanished
from crm.calls.steps import LIVE
from dialer import records
from dialer.ami.messages import Message
from dialer.ami.translate import translate
from dialer.hearing import OF_CALL

if TYPE_CHECKING:
    from dialer.bridge import Bridge

log = structlog.get_logger("dialer.resync")

OPEN = """
select c.id, c.external_id, c.updated_at <= $3::timestamptz as is_settled from crm.call c
 where c.tenant_id = $1::uuid and c.ended_at is null and c.source = 'live'
   and c.status in (select unnest($2::text[])) and c.status <> 'checked'
"""
ENDED = """
select c.id from unnest($2::uuid[]) as wanted(id)
  join crm.call c on c.tenant_id = $1::uuid and c.id = wanted.id and c.ended_at is not null
"""


async def resync(bridge: "Bridge") -> bool:
    """Compare, tell what was missed, and hang up what nobody wants any more.

    Returns whether every call was found, or is known to be gone: one that changed a moment ago may have a channel that
    was not there yet when we asked, and is looked for again.

    :raises dialer.ami.line.Down, dialer.ami.line.Unanswered, dialer.ami.connection.Refused: when the exchange does not
        answer; nothing was concluded then.
    """
    asked_at = bridge.now()
    channels = await bridge.connection.ask("CoreShowChannels", within=20)
    members = await bridge.connection.ask("QueueStatus", within=20)
    for each in channels:
        bridge.ear.meet(each["uniqueid"], _call_name(each), each["channel"])
    await bridge.tell([fact for each in channels for fact in standing(each, now=asked_at)])
    await bridge.mirror([fact for each in members if (fact := _member(each, now=asked_at))], is_whole=True)
    there = {_call_name(each) for each in channels}
    missing = [row for row in await _open(bridge, asked_at) if _name(row) not in there]
    for row in missing:
        if row["is_settled"]:
            log.info("call_vanished", call_id=str(row["id"]))
    gone = [_name(row) for row in missing if row["is_settled"]]
    await bridge.tell([Vanished(call_id=name, at=asked_at) for name in gone])
    if bridge.wiring.records is not None and gone:
        await bridge.tell(await asyncio.to_thread(records.of, bridge.wiring.records, set(gone)))
    await _hang_up_orphans(bridge, channels)
    return all(row["is_settled"] for row in missing)


def _name(row: asyncpg.Record) -> str:
    return str(row["external_id"] or row["id"])


async def _open(bridge: "Bridge", asked_at: datetime) -> Sequence[asyncpg.Record]:
    """Return the calls that the exchange should have."""
    return await db.run(
        bridge.actor, lambda tx: tx.fetch(OPEN, tx.actor.tenant_id, sorted(LIVE), asked_at - bridge.wiring.settles)
    )


def _call_name(channel: Message) -> str:
    return channel.variables.get(OF_CALL) or channel["linkedid"]


def standing(channel: Message, *, now: datetime) -> Iterable[Fact]:
    """Yield what a live channel tells of its leg, as of now: when it began is known, when it answered is not."""
    of = {"call_id": _call_name(channel), "leg_id": channel["uniqueid"]}
    yield LegStarted(**of, at=now - _duration(channel["duration"]))
    if channel["channelstatedesc"] == "Ringing":
        yield LegRinging(**of, at=now)
    if channel["channelstatedesc"] == "Up":
        yield LegAnswered(**of, at=now)
    if channel["bridgeid"]:
        yield BridgeEntered(**of, at=now, bridge_id=channel["bridgeid"])


def _duration(text: str) -> timedelta:
    """Return a duration written as hours, minutes and seconds; nothing when it is not."""
    try:
        hours, minutes, seconds = (int(part) for part in text.split(":"))
    except ValueError:
        return timedelta()
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _member(row: Message, *, now: datetime) -> MemberChanged | None:
    fact = translate(row, now=now)
    return fact if isinstance(fact, MemberChanged) else None


async def _hang_up_orphans(bridge: "Bridge", channels: Sequence[Message]) -> None:
    """End the channels of calls that we hold for ended: nobody would ever look at them again."""
    names = {UUID(name): name for each in channels if (name := _call_name(each)) and _is_ours(name)}
    ended = await db.run(bridge.actor, lambda tx: tx.fetch(ENDED, tx.actor.tenant_id, list(names)))
    dead = {names[row["id"]] for row in ended}
    for each in channels:
        if _call_name(each) in dead:
            log.info("orphan_hung_up", call_id=_call_name(each))
            await bridge.connection.say("Hangup", {"Channel": each["channel"], "Cause": 16})


def _is_ours(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
