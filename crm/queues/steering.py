"""Keeping the exchange's queues as they are to be: who takes their calls, who is next, who is sent another way.

Done every second for a firm by the process that speaks with its exchange. Each time everything is worked out anew from
what is stored, and only what differs from what the exchange has is asked for: done twice, or by another process after a
crash, it changes nothing. Callers are served without it, too, as they were when it last ran.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import exchange
from crm.agents import rules as agents
from crm.agents.rules import State
from crm.agents.states import OURS, QUEUE_PAUSED
from crm.db import Tx
from crm.exchange import Kind
from crm.queues import actions, members, operations, order, overflow, rings, sending, settings, statistics, visits
from crm.queues.figures import Counts
from crm.queues.members import Key, Wanted
from crm.queues.order import Waiting
from crm.queues.overflow import Stand
from crm.queues.rings import Agent
from crm.queues.rules import Way
from crm.queues.settings import Standing

NOT_DONE = frozenset({"refused", "expired", "unanswered"})
"""What can become of an ask that sends a caller on, for it to be made once more."""
ONCE_MORE = timedelta(seconds=5)

OURS_NOW = """
select call_id from crm.queue_visit
 where tenant_id = $1::uuid and outcome = 'waiting' and left_at is null and not is_historical
   for update skip locked
"""


@dataclass(frozen=True, slots=True)
class Steered:
    """How much was asked: changes of members, of callers' places, callers sent on; and actions that ended."""

    members: int = 0
    places: int = 0
    sent: int = 0
    ended: int = 0


async def steer(tx: Tx, now: datetime) -> Steered:
    """Ask the exchange for what differs from what is wanted; nothing while somebody else steers this firm's queues.

    Plumbing, within the process that speaks with the exchange; safe to repeat, and cheap where nothing goes on.
    """
    if not await tx.fetchval(
        "select pg_try_advisory_xact_lock(hashtextextended('queues ' || $1::text, 0))", str(tx.actor.tenant_id)
    ):
        return Steered()
    await visits.settle(tx, now=now)
    ended = await actions.end_due(tx, now=now)
    queues = await settings.in_force(tx, at=now)
    callers = await tx.fetch(sending.WAITING, tx.actor.tenant_id, None)
    # Whoever is just being heard of is left for the next second: we wait for nobody, so there is no deadlock.
    ours = {row["call_id"] for row in await tx.fetch(OURS_NOW, tx.actor.tenant_id)}
    doing = await actions.open_now(tx, now=now)
    waiting = _by_queue(callers, now)
    sent = await _send(tx, queues, waiting, doing, ours, now=now)
    places = 0
    for code, queue in queues.items():
        here = [row for row in waiting[code] if row["call_id"] not in sent]
        if all(row["call_id"] in ours for row in here):
            places += await _arrange(tx, queue, here, _priorities(doing), now=now)
    asked = await _staff(tx, queues, waiting, doing, now=now)
    return Steered(asked, places, len(sent), ended)


def _by_queue(callers: Iterable[asyncpg.Record], now: datetime) -> dict[str, list[asyncpg.Record]]:
    """Return who waits in which queue; those on their way elsewhere are left out."""
    found: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in callers:
        is_on_the_way = row["sent_at"] is not None and (
            row["ask_status"] not in NOT_DONE or now - row["sent_at"] < ONCE_MORE
        )
        if not is_on_the_way:
            found[row["queue"]].append(row)
    return found


def _priorities(doing: Iterable[Mapping[str, Any]]) -> dict[UUID, int]:
    """Return the steps of priority that supervisors gave to callers."""
    return {row["call_id"]: row["priority"] for row in doing if row["kind"] == actions.Kind.priority}


def _caller(row: Mapping[str, Any], given: Mapping[UUID, int]) -> Waiting:
    return Waiting(
        call_id=row["call_id"], visit_no=row["visit_no"], enqueued_at=row["enqueued_at"],
        due_at=row["due_at"] or row["enqueued_at"], priority=given.get(row["call_id"], row["priority"]),
        asked=row["asked_priority"], asked_at=row["asked_priority_at"],
    )  # fmt: skip


async def _arrange(
    tx: Tx, queue: Standing, here: Sequence[asyncpg.Record], given: Mapping[UUID, int], *, now: datetime
) -> int:
    """Bring the callers of a queue into their order; return how many were told another number."""
    ordered = order.in_order((_caller(row, given) for row in here), queue.settings.step_s)
    changed = order.raises(ordered)
    if any(row["is_place_unsure"] for row in here):
        # What the exchange did not take is said again, and of everybody.
        changed = {each.call_id: changed.get(each.call_id, each.asked) for each in ordered}
    legs = {row["call_id"]: row["leg_id"] for row in here}
    # The first one first: among equal numbers the exchange puts who got theirs later behind.
    for n, caller in enumerate(each for each in ordered if each.call_id in changed):
        priority, at = changed[caller.call_id], now + timedelta(microseconds=n)
        args = {"leg": legs[caller.call_id], "queue": queue.code, "priority": priority}
        await exchange.ask(tx, Kind.caller_priority, args, call_id=caller.call_id, now=at)
        await tx.execute(
            "update crm.queue_visit set asked_priority = $4::int, asked_priority_at = $5::timestamptz"
            " where tenant_id = $1::uuid and call_id = $2::uuid and visit_no = $3::int",
            tx.actor.tenant_id, caller.call_id, caller.visit_no, priority, at,
        )  # fmt: skip
    return len(changed)


async def _send(
    tx: Tx, queues: Mapping[str, Standing], waiting: Mapping[str, Sequence[asyncpg.Record]],
    doing: Sequence[asyncpg.Record], ours: Collection[UUID], *, now: datetime,
) -> set[UUID]:  # fmt: skip
    """Send on whoever is not to wait here any longer, as far as they are `ours` to change; return whom."""
    forced = {row["code"]: actions.way_of(row) for row in doing if row["kind"] == actions.Kind.overflow}
    levels = await _service_levels(tx, queues, waiting, now=now)
    closed = await _closed(tx, queues, waiting, forced, now=now)
    room = Room(queues, {code: len(waiting[code]) for code in queues}, closed)
    sent: set[UUID] = set()
    for code, queue in queues.items():
        given = _priorities(doing)
        rows = {row["call_id"]: row for row in waiting[code]}
        ahead = 0
        for caller in order.in_order((_caller(row, given) for row in rows.values()), queue.settings.step_s):
            row = rows[caller.call_id]
            stand = Stand(
                waited_s=(now - row["enqueued_at"]).total_seconds(), ahead=ahead,
                service_level=levels[code].service_level, calls=levels[code].judged,
                is_open=row["in_hours"] or row["direction"] != "inbound", forced=forced.get(code),
            )  # fmt: skip
            decided = overflow.decide(queue.settings, stand, room.may_take(row))
            if decided is None or caller.call_id not in ours:
                ahead += 1
                continue
            await sending.send(tx, row, decided.way, decided.why, now=now)
            room.take(decided.way)
            sent.add(caller.call_id)
    return sent


@dataclass(slots=True)
class Room:
    """Which ways can be gone: other queues in use, open and not full, where the caller has not been; callbacks for
    callers who are known."""

    queues: Mapping[str, Standing]
    length: dict[str, int]
    closed: frozenset[str]

    def may_take(self, row: Mapping[str, Any]) -> Any:
        """Return the question whether a caller may go a way."""

        def may_go(way: Way) -> bool:
            if way.to == "queue":
                return way.queue not in row["been"] and self._has_room(way.queue or "")
            return way.to == "message" or row["contact_id"] is not None

        return may_go

    def _has_room(self, code: str) -> bool:
        other = self.queues.get(code)
        if other is None or code in self.closed:
            return False
        return other.settings.max_length is None or self.length[code] < other.settings.max_length

    def take(self, way: Way) -> None:
        """Count one more in the queue that a way leads to."""
        if way.queue in self.length:
            self.length[way.queue] += 1


async def _closed(
    tx: Tx, queues: Mapping[str, Standing], waiting: Mapping[str, Sequence[asyncpg.Record]], forced: Mapping[str, Way],
    *, now: datetime,
) -> frozenset[str]:  # fmt: skip
    """Return which of the queues are closed now that callers who wait may be sent to."""
    named = {way.queue for code, way in forced.items() if waiting[code] and way.queue is not None}
    named = named.union(*(operations.queues_of(queue.settings) for code, queue in queues.items() if waiting[code]))
    closed = set()
    for code in named & queues.keys():
        calendar, _ = await settings.calendar(tx, queues[code].settings, at=now)
        if not calendar.is_open(now):
            closed.add(code)
    return frozenset(closed)


async def _service_levels(
    tx: Tx, queues: Mapping[str, Standing], waiting: Mapping[str, Sequence[asyncpg.Record]], *, now: datetime
) -> Mapping[str, Counts]:
    """Return what was counted of late of each queue; nothing where nobody waits, or no rule asks for it."""
    is_asked = any(
        waiting[code] and any(rule.service_level_below is not None for rule in queue.settings.overflow)
        for code, queue in queues.items()
    )  # fmt: skip
    return defaultdict(Counts, await statistics.of_late(tx, now=now) if is_asked else {})


async def _staff(
    tx: Tx, queues: Mapping[str, Standing], waiting: Mapping[str, Sequence[asyncpg.Record]],
    doing: Sequence[asyncpg.Record], *, now: datetime,
) -> int:  # fmt: skip
    """Bring the members of the queues in step with who is signed on; return how much was asked."""
    paused = {row["code"] for row in doing if row["kind"] == actions.Kind.pause}
    wanted: dict[Key, Wanted] = {}
    people = await members.signed_on(tx, at=now)
    states = {row["endpoint"]: row for row in people}
    for code, queue in queues.items():
        longest = max(((now - row["enqueued_at"]).total_seconds() for row in waiting[code]), default=0.0)
        found = rings.wanted(queue.settings, map(_agent, people), longest)
        wanted |= {
            (code, endpoint): _member(penalty, states[endpoint], code in paused) for endpoint, penalty in found.items()
        }
    there = await members.there(tx)
    ours = await members.endpoints(tx) if there else set()
    asks = members.differences(wanted, there, ours, now=now)
    await members.request(tx, asks, now=now)
    return len(asks)


def _agent(row: Mapping[str, Any]) -> Agent:
    return Agent(row["user_id"], row["endpoint"], row["team_id"], row["skills"] or {})


def _member(penalty: int, row: Mapping[str, Any], is_queue_paused: bool) -> Wanted:
    if is_queue_paused:
        return Wanted(penalty, True, QUEUE_PAUSED)
    words = [row["state"], *([row["reason"]] if row["reason"] else [])]
    return Wanted(penalty, agents.is_paused_there(State(row["state"])), OURS + ".".join(words))
