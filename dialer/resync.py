"""After a silence: our calls are compared with those the exchange has, and what was missed is told as facts.

Every event between two connections is lost. What the exchange still has is taken as it stands now; what it has no more
has vanished; what it has and we have given up is hung up. Now is what the exchange's clock shows, as events tell it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import structlog

from crm import db
from crm.calls import keeping
from crm.calls.facts import (
    BridgeEntered,
    Fact,
    LegAnswered,
    LegRinging,
    LegStarted,
    MemberChanged,
    QueueJoined,
    Vanished,
)
from crm.calls.steps import LIVE
from dialer import queue_log, records
from dialer.ami.connection import Refused
from dialer.ami.messages import Message
from dialer.ami.translate import translate
from dialer.hearing import OF_CALL, Arrival, credible

if TYPE_CHECKING:
    from dialer.bridge import Bridge

log = structlog.get_logger("dialer.resync")

OPEN = """
select c.id, c.external_id, c.updated_at <= $3::timestamptz as is_settled from crm.call c
 where c.tenant_id = $1::uuid and c.ended_at is null and c.source = 'live'
   and c.status in (select unnest($2::text[])) and c.status <> 'checked'
   and not exists (select from crm.exchange_ask a where a.tenant_id = c.tenant_id and a.call_id = c.id
                      and a.kind = 'originate' and a.status = 'waiting')
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
    theirs = credible((await bridge.connection.say("Ping")).at or asked_at, asked_at)  # rows of lists tell no time
    channels = await bridge.connection.ask("CoreShowChannels", within=20)
    members = await bridge.connection.ask("QueueStatus", within=20)
    for each in channels:
        bridge.ear.meet(each["uniqueid"], _call_name(each), each["channel"])
    waiting = [row for row in members if row.event == "QueueEntry" and row["uniqueid"]]
    await _meet_callers(bridge, waiting, channels, theirs)
    await bridge.tell([fact for each in channels for fact in standing(each, now=theirs)])
    await bridge.mirror([fact for each in members if (fact := _member(each, now=theirs))], is_whole=True)
    there = {_call_name(each) for each in channels}
    missing = [row for row in await _open(bridge, asked_at) if _name(row) not in there]
    for row in missing:
        if row["is_settled"]:
            log.info("call_vanished", call_id=str(row["id"]))
    gone = [_name(row) for row in missing if row["is_settled"]]
    if gone:
        # Together, or an end would be told that turns out to have been another at once.
        vanished = [Vanished(call_id=name, at=theirs) for name in gone]
        await bridge.tell([*vanished, *await _written(bridge, gone)])
    await _hang_up_orphans(bridge, channels)
    return all(row["is_settled"] for row in missing)


async def _written(bridge: "Bridge", names: Sequence[str]) -> list[Fact]:
    """Return what the exchange wrote down of calls that ended unheard, where we can read it."""
    found: list[Fact] = []
    if (log_file := bridge.wiring.queue_log) is not None:
        ids = {name: keeping.call_id_of(bridge.actor.tenant_id, name) for name in names}
        facts = await db.run(bridge.actor, lambda tx: keeping.read(tx, ids.values()))
        known = {name: facts[call_id] for name, call_id in ids.items()}
        found += await asyncio.to_thread(queue_log.of, log_file, known)
    if (file := bridge.wiring.records) is not None:
        found += await asyncio.to_thread(records.of, file, set(names))
    return found


WAITING = """
select v.call_id, v.queue from crm.queue_visit v
 where v.tenant_id = $1::uuid and v.call_id in (select unnest($2::uuid[])) and v.outcome = 'waiting'
"""


async def _meet_callers(
    bridge: "Bridge", waiting: Sequence[Message], channels: Sequence[Message], now: datetime
) -> None:
    """Take note of callers whose coming, or joining of a queue, was not heard; `waiting`: the queues' own entries."""
    of = {each["uniqueid"]: each for each in channels}
    joined: list[Fact] = []
    queued = {row["uniqueid"] for row in waiting}
    for each in channels:  # who speaks with somebody already, or is about to
        if each["uniqueid"] not in queued and is_caller(each):
            since = now - _duration(each["duration"])
            joined += await bridge.arrive(Arrival(_call_name(each), await _number(bridge, each), None, since))
    calls = {row["uniqueid"]: _call_name(of[row["uniqueid"]]) for row in waiting if row["uniqueid"] in of}
    ids = {name: keeping.call_id_of(bridge.actor.tenant_id, name) for name in calls.values()}
    rows = await db.run(bridge.actor, lambda tx: tx.fetch(WAITING, tx.actor.tenant_id, list(ids.values())))
    known = {(row["call_id"], row["queue"]) for row in rows}
    for row in waiting:
        name = calls.get(row["uniqueid"])
        if name is None or (ids[name], row["queue"]) in known:
            continue
        since = now - timedelta(seconds=int(row["wait"] or 0))
        if not of[row["uniqueid"]].variables.get(OF_CALL):
            number = await _number(bridge, of[row["uniqueid"]])
            joined += await bridge.arrive(Arrival(name, number, row["queue"], since))
        joined.append(
            QueueJoined(
                call_id=name, leg_id=row["uniqueid"], at=since, queue=row["queue"], position=int(row["position"] or 1)
            )
        )
    await bridge.tell(joined)


FROM = "DIALER_FROM"
"""The variable in which our dialplan keeps who calls: what the channel shows is hidden from agents by then."""


async def _number(bridge: "Bridge", channel: Message) -> str:
    """Return who calls; empty when the channel has gone meanwhile."""
    try:
        return (await bridge.connection.say("Getvar", {"Channel": channel["channel"], "Variable": FROM}))["value"]
    except Refused:
        return ""


INBOUND = frozenset({"inbound", "inbound-queue", "wait-in-queue"})
"""The contexts of our dialplan in which only callers are, and those whom we called (who bear our id)."""


def is_caller(channel: Message) -> bool:
    """Tell whether a channel is that of somebody who called us."""
    is_first = channel["uniqueid"] == channel["linkedid"]
    return is_first and channel["context"] in INBOUND and not channel.variables.get(OF_CALL)


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
            with suppress(Refused):  # it has gone meanwhile
                await bridge.connection.say("Hangup", {"Channel": each["channel"], "Cause": 16})


def _is_ours(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
