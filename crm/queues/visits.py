"""Stays of callers in queues, kept as the exchange tells them, each judged by the settings of when it began."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import codes, events
from crm.calendars.rules import Calendar
from crm.db import Tx
from crm.queues import settings, telling
from crm.queues.rules import Outcome
from crm.queues.settings import Promise, Standing
from crm.queues.telling import Happened

UNKNOWN = "unknown"
"""The code of a queue whose name on the exchange is none of ours, nor could be."""
AUDIBLE_S = 1.0
"""Seconds an agent must have been heard for a caller to count as answered."""

SENT = {
    "overflow": Outcome.overflow,
    "moved": Outcome.overflow,
    "timeout": Outcome.timeout,
    "callback": Outcome.callback,
    "closed": Outcome.system,
}
"""How a stay ended out of which we sent the caller, by why we did."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of a caller in a queue (its code on the exchange), as told so far; times are UTC, seconds may be broken.

    `outcome`: a word of `rules.Outcome`. `missed`: the agents who did not answer, in order.
    """

    visit_no: int
    queue: str
    enqueued_at: datetime | None
    left_at: datetime | None = None
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    wait_s: float | None = None
    ring_s: float | None = None
    talk_s: float | None = None
    outcome: str = "waiting"
    agent_user_id: UUID | None = None
    missed: tuple[UUID, ...] = ()


COLUMNS = (*telling.WENT, "told")
KNOWN = """
select v.*, a.status as ask_status from unnest($2::uuid[]) as wanted(id)
 cross join lateral (
    select * from crm.queue_visit where tenant_id = $1::uuid and call_id = wanted.id) v
  left join crm.exchange_ask a on a.tenant_id = $1::uuid and a.id = v.sent_ask_id
"""
JOIN = """
insert into crm.queue_visit
  (tenant_id, call_id, visit_no, queue_id, queue, enqueued_at, in_hours, is_test, sl_s, short_s, timezone, priority,
   due_at, left_at, connected_at, ended_at, wait_s, ring_s, talk_s, outcome, agent_user_id, missed, told)
values ($1::uuid, $2::uuid, $3::int, $4::uuid, $5::text, $6::timestamptz, $7::boolean, $8::boolean, $9::int, $10::int,
        $11::text, $12::int, $13::timestamptz, $14::timestamptz, $15::timestamptz, $16::timestamptz, $17::float8,
        $18::float8, $19::float8, $20::text, $21::uuid, $22::uuid[], $23::text)
"""
UPDATE = """
update crm.queue_visit
   set left_at = $4::timestamptz, connected_at = $5::timestamptz, ended_at = $6::timestamptz, wait_s = $7::float8,
       ring_s = $8::float8, talk_s = $9::float8, outcome = $10::text, agent_user_id = $11::uuid, missed = $12::uuid[],
       told = $13::text
 where tenant_id = $1::uuid and call_id = $2::uuid and visit_no = $3::int
"""
PLACES = """
select w.id, p.waits_since, coalesce(p.priority, 0) as priority,
       coalesce((select l.is_test from crm.call c join crm.lead l on l.tenant_id = $1::uuid and l.id = c.lead_id
                  where c.tenant_id = $1::uuid and c.id = w.id), false) as is_test
  from unnest($2::uuid[]) as w(id)
  left join crm.queue_place p on p.tenant_id = $1::uuid and p.call_id = w.id
"""


async def keep(tx: Tx, call_id: UUID, stays: Sequence[Stay], *, now: datetime) -> None:
    """Write a call's stays as they are told by now: as `keep_many`."""
    await keep_many(tx, {call_id: stays}, now=now)


async def keep_many(tx: Tx, calls: Mapping[UUID, Sequence[Stay]], *, now: datetime) -> None:
    """Write stays of calls as they are told by now, with an event for each that began, ended or turned out otherwise.

    Plumbing, within the hearing of calls whose rows are there. The same stays again change nothing.
    """
    if not calls:
        return
    known: dict[UUID, dict[int, asyncpg.Record]] = {call_id: {} for call_id in calls}
    for row in await tx.fetch(KNOWN, tx.actor.tenant_id, list(calls)):
        known[row["call_id"]][row["visit_no"]] = row
    joining = [
        call_id for call_id, stays in calls.items() if any(each.visit_no not in known[call_id] for each in stays)
    ]
    begin = _Beginning(tx, await tx.fetch(PLACES, tx.actor.tenant_id, joining) if joining else ())
    happened: list[Happened] = []
    for call_id, stays in calls.items():
        happened += await _keep(tx, call_id, stays, known[call_id], begin, now=now)
    await events.record_dated(tx, happened)


class _Beginning:
    """What stays begin with: places kept for their calls, and the settings, looked up once for those of a second."""

    def __init__(self, tx: Tx, places: Sequence[asyncpg.Record]) -> None:
        self._tx = tx
        self.places = {place["id"]: place for place in places}
        self._settings: dict[tuple[str, datetime], tuple[Standing | None, Standing | Promise, Calendar, str]] = {}

    async def settings(self, code: str, at: datetime) -> tuple[Standing | None, Standing | Promise, Calendar, str]:
        """Return a queue (None when it was not in use), what is promised in it, when it is open, and its zone."""
        key = code, at.replace(microsecond=0)
        if key not in self._settings:
            queue = await settings.of(self._tx, code, at=at)
            firm = queue or await settings.promise(self._tx, at=at)
            calendar, zone = await settings.calendar(self._tx, queue.settings if queue else None, at=at)
            self._settings[key] = queue, firm, calendar, zone
        return self._settings[key]


async def _keep(
    tx: Tx, call_id: UUID, stays: Sequence[Stay], known: Mapping[int, asyncpg.Record], begin: _Beginning, *,
    now: datetime,
) -> list[Happened]:  # fmt: skip
    happened: list[Happened] = []
    begins = {stay.visit_no: stay.enqueued_at for stay in stays}
    for stay in stays:
        before = known.get(stay.visit_no)
        told = _told(_left(stay, begins.get(stay.visit_no + 1)), before, is_last=stay.visit_no + 1 not in begins)
        judged: Mapping[str, Any]
        if before is None:
            judged = await _join(tx, call_id, stay, told, known.get(stay.visit_no - 1), begin, now=now)
            tells = telling.state(stay.visit_no, judged, told)
            happened.append(("queue_visit", call_id, "queue_visit.joined", tells, judged["enqueued_at"]))
        elif any(before[name] != told[name] for name in COLUMNS):
            judged = before
            await tx.execute(UPDATE, tx.actor.tenant_id, call_id, stay.visit_no, *(told[name] for name in COLUMNS))
        else:
            continue
        happened += telling.news(call_id, before, telling.state(stay.visit_no, judged, told), now=now)
    return happened


def code_of(name: str) -> str:
    """Return a queue's name on the exchange as a code; the exchange does not tell upper from lower case."""
    folded = name.lower()
    return folded if codes.CODE.fullmatch(folded) else UNKNOWN


def _left(stay: Stay, next_at: datetime | None) -> Stay:
    """Return a stay that is over at latest when the next one begins, whatever of its end was not told, or came late."""
    if next_at is None or stay.left_at is not None:
        return stay
    return replace(
        stay, left_at=next_at, ended_at=next_at, outcome="system" if stay.outcome == "waiting" else stay.outcome
    )


def _told(stay: Stay, before: asyncpg.Record | None, *, is_last: bool) -> dict[str, Any]:
    """Return the columns that say how a stay went."""
    since = before["enqueued_at"] if before else stay.enqueued_at
    heard_at = stay.connected_at or stay.left_at
    waited = max(0.0, (heard_at - since).total_seconds()) if heard_at and since else stay.wait_s
    outcome = heard(stay)
    if before is not None and before["sent_ask_id"] and stay.left_at and outcome is not Outcome.answered:
        outcome = sent(outcome, before["sent_why"], before["ask_status"], has_come_elsewhere=not is_last)
    values = {name: getattr(stay, name) for name in COLUMNS if name not in ("wait_s", "outcome", "missed", "told")}
    return values | {"wait_s": waited, "outcome": outcome.value, "missed": list(stay.missed), "told": heard(stay).value}


def heard(stay: Stay) -> Outcome:
    """Return how a stay went by what the exchange told: answered is who heard an agent for a second at least."""
    outcome = Outcome(stay.outcome)
    if outcome is not Outcome.answered:
        return outcome
    if stay.ring_s is None and stay.agent_user_id is None:  # out of the queue, and no agent told of (yet)
        return Outcome.system if stay.ended_at else Outcome.waiting
    if stay.ended_at is not None and stay.talk_s is not None and stay.talk_s < AUDIBLE_S:
        return Outcome.abandoned
    return outcome


def sent(told: Outcome, why: str, ask_status: str | None, *, has_come_elsewhere: bool) -> Outcome:
    """Return how a stay went out of which we asked the exchange to send the caller, and the caller has left it.

    To the exchange they have hung up or just left. As long as it has not said whether it did what it was asked for,
    they count as waiting.
    """
    if has_come_elsewhere or ask_status == "done":
        return SENT[why]
    if ask_status in ("waiting", "sent"):
        return Outcome.waiting
    return Outcome.abandoned if told is Outcome.waiting else told


async def _join(
    tx: Tx, call_id: UUID, stay: Stay, told: Mapping[str, Any], earlier: asyncpg.Record | None, begin: _Beginning, *,
    now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """Write a stay that is new, with the settings of its beginning; return what it is judged by."""
    since, code = stay.enqueued_at or stay.left_at or now, code_of(stay.queue)
    queue, firm, calendar, zone = await begin.settings(code, since)
    place = begin.places[call_id]
    in_hours = calendar.is_open(since)
    # Whom we sent on keeps their place in time; what was promised first is what they wait for.
    begun = (place["waits_since"] or since) + timedelta(seconds=firm.sl_s)
    due_at = earlier["due_at"] if earlier and earlier["sent_ask_id"] and earlier["due_at"] else begun
    priority = place["priority"] + (queue.settings.priority if queue else 0)
    queue_id = queue.id if queue else None
    await tx.execute(
        JOIN, tx.actor.tenant_id, call_id, stay.visit_no, queue_id, code, since, in_hours, place["is_test"], firm.sl_s,
        firm.short_s, zone, priority, due_at, *(told[name] for name in COLUMNS),
    )  # fmt: skip
    return {
        "queue": code, "queue_id": queue_id, "enqueued_at": since, "in_hours": in_hours, "is_test": place["is_test"],
        "sl_s": firm.sl_s, "short_s": firm.short_s, "timezone": zone, "priority": priority,
    }  # fmt: skip


UNDECIDED = """
select v.*, a.status as ask_status
  from crm.queue_visit v left join crm.exchange_ask a on a.tenant_id = v.tenant_id and a.id = v.sent_ask_id
 where v.tenant_id = $1::uuid and v.outcome = 'waiting' and v.left_at is not null and v.sent_ask_id is not null
   and (a.status is null or a.status not in ('waiting', 'sent'))
 order by v.call_id, v.visit_no for update of v skip locked
"""


async def settle(tx: Tx, *, now: datetime) -> int:
    """Decide the stays that were left open until the exchange said whether it sent the caller on; return how many.

    Plumbing, done every second by whoever steers the queues.
    """
    happened: list[Happened] = []
    for row in await tx.fetch(UNDECIDED, tx.actor.tenant_id):
        outcome = sent(Outcome(row["told"]), row["sent_why"], row["ask_status"], has_come_elsewhere=False)
        await tx.execute(
            "update crm.queue_visit set outcome = $4::text"
            " where tenant_id = $1::uuid and call_id = $2::uuid and visit_no = $3::int",
            tx.actor.tenant_id, row["call_id"], row["visit_no"], outcome.value,
        )  # fmt: skip
        tells = telling.state(row["visit_no"], row, {**row, "outcome": outcome.value})
        happened += telling.news(row["call_id"], row, tells, now=now)
    await events.record_dated(tx, happened)
    return len(happened)


async def reserve_place(
    tx: Tx, call_id: UUID, *, waits_since: datetime | None = None, priority: int = 0, now: datetime
) -> None:
    """Have a call that is about to be made wait as if since an instant (UTC), and with steps of priority.

    Plumbing: a caller who chose to be called back keeps the place in the queue they had. To be said before the call
    enters a queue; said again, the last word holds.
    """
    await tx.execute(
        "insert into crm.queue_place (tenant_id, call_id, waits_since, priority, created_at)"
        " values ($1::uuid, $2::uuid, $3::timestamptz, $4::int, $5::timestamptz)"
        " on conflict (tenant_id, call_id) do update set waits_since = excluded.waits_since,"
        " priority = excluded.priority",
        tx.actor.tenant_id, call_id, waits_since, priority, now,
    )  # fmt: skip


async def forget_places(tx: Tx, *, before: datetime) -> None:
    """Forget places that were kept before an instant (UTC): the calls they were kept for are over."""
    await tx.execute(
        "delete from crm.queue_place where tenant_id = $1::uuid and created_at < $2::timestamptz",
        tx.actor.tenant_id, before,
    )  # fmt: skip
