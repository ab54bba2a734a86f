"""What waits to be asked of the exchange, taken by the one bridge that may ask it, and what the exchange answered.

An ask is marked as sent, and that is committed, before it is sent: whatever happens afterwards, it is never sent again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import events, vault
from crm.agents import queries as agents
from crm.agents import states
from crm.agents.rules import State
from crm.calls import rows
from crm.calls.steps import Status
from crm.calls.story import Outcome
from crm.consent import queries as consent
from crm.consent.rules import Answer, Channel, Purpose, Reason
from crm.contacts import sending as contacts
from crm.db import Tx
from crm.exchange import Kind
from crm.operation import operation
from crm.phone import Phone

AT_ONCE = 50
"""Asks taken in one transaction."""
HARD = frozenset(
    {Reason.erased, Reason.archived, Reason.no_address, Reason.number_not_allowed, Reason.dnc, Reason.opted_out,
     Reason.no_consent, Reason.outside_hours}
)  # fmt: skip
"""What stops a call that was allowed a moment ago; that the person was called often is its own doing."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An ask to be sent now, with its call where it has one, and the number when it dials one."""

    id: UUID
    kind: Kind
    args: Mapping[str, Any]
    call: Mapping[str, Any] | None
    endpoint: str | None = None
    number: Phone | None = field(default=None, repr=False)


SENDING = """
with mine as (
  update crm.exchange_ask a
     set status = case when a.expires_at <= $2::timestamptz then 'expired' else 'sent' end,
         failure = case when a.expires_at <= $2::timestamptz then 'exchange.too_late' end,
         sent_at = case when a.expires_at <= $2::timestamptz then null else $2::timestamptz end,
         args = case when a.expires_at <= $2::timestamptz then a.args - 'digits' else a.args end
   where a.tenant_id = $1::uuid and a.id in (
     select id from crm.exchange_ask
      where tenant_id = $1::uuid and status = 'waiting' and (not $4::boolean or expires_at <= $2::timestamptz)
      order by asked_at, id limit $3::int for update skip locked)
  returning a.id, a.call_id, a.kind, a.args, a.status, a.asked_at)
select * from mine order by asked_at, id
"""


@operation("call.send")
async def claim(tx: Tx, *, at_most: int = AT_ONCE, only_late: bool = False, now: datetime) -> list[Outgoing]:
    """Take asks that wait, the oldest first, and return those to be sent; they are never given out again.

    What nobody took in time is not wanted any more (`only_late`: nothing else is taken, while there is nobody to send
    it to). Whoever withdrew since is not called.
    """
    wrote = tx.events
    asked = await tx.fetch(SENDING, tx.actor.tenant_id, now, at_most, only_late)
    calls = await rows.lock_many(tx, list({ask["call_id"] for ask in asked if ask["call_id"]}))
    starting = {ask["call_id"]: ask["status"] for ask in asked if ask["kind"] == Kind.originate}
    going = [calls[call_id] for call_id, status in starting.items() if status == "sent" and call_id in calls]
    over = {call["id"] for call in going if call["ended_at"] is not None}  # found to be gone, while its ask waited
    going = [call for call in going if call["id"] not in over]
    for call_id, status in starting.items():
        if status == "expired" and call_id in calls:
            await give_up(tx, calls[call_id], "exchange.too_late", now=now)
    numbers = await contacts.numbers(tx, {call["contact_id"] for call in going}) if going else {}
    over |= await _stopped(tx, going, numbers, now=now)
    void = {ask["id"] for ask in asked if ask["kind"] == Kind.originate and ask["call_id"] in over}
    await _refuse(tx, sorted(void), now=now)
    await _begin(tx, [call for call in going if call["id"] not in over], now=now)
    if tx.events == wrote:
        tx.unchanged()
    endpoints = {call["agent_user_id"]: None for call in going if call["agent_user_id"]}
    endpoints |= {user_id: await agents.endpoint_of(tx, user_id) for user_id in endpoints}
    return [
        _outgoing(ask, calls.get(ask["call_id"]), numbers, endpoints)
        for ask in asked
        if ask["status"] == "sent" and ask["id"] not in void
    ]


def _outgoing(
    ask: asyncpg.Record,
    call: asyncpg.Record | None,
    numbers: Mapping[UUID, Phone],
    endpoints: Mapping[UUID, str | None],
) -> Outgoing:
    kind, args = Kind(ask["kind"]), ask["args"]
    if call is None or kind is not Kind.originate:
        return Outgoing(ask["id"], kind, args, call)
    return Outgoing(ask["id"], kind, args, call, endpoints.get(call["agent_user_id"]), numbers.get(call["contact_id"]))


async def _stopped(
    tx: Tx, calls: Sequence[asyncpg.Record], numbers: Mapping[UUID, Phone], *, now: datetime
) -> set[UUID]:
    """Refuse the calls whose people may not be called any more; return their ids. Told by the hour of the number."""
    reasons = {call["id"]: None if call["contact_id"] in numbers else Reason.no_address for call in calls}
    for purpose, those in (await _by_purpose(tx, calls)).items():
        people = [call["contact_id"] for call in those]
        answers = await consent.may_contact_many(tx, people, Channel.call, purpose, at=now, numbers=numbers)
        for call in those:
            answer = answers.get(call["contact_id"], Answer(Reason.erased))
            reasons[call["id"]] = reasons[call["id"]] or (answer.reason if answer.reason in HARD else None)
    for call in calls:
        if reason := reasons[call["id"]]:
            await give_up(tx, call, f"consent.{reason.value}", status=Status.denied, now=now)
    return {call_id for call_id, reason in reasons.items() if reason}


PURPOSES = """
select wanted.id, c.purpose from unnest($2::uuid[]) as wanted(id)
 cross join lateral (
    select purpose from crm.consent_check where tenant_id = $1::uuid and id = wanted.id limit 1) c
"""


async def _by_purpose(tx: Tx, calls: Sequence[asyncpg.Record]) -> dict[Purpose, list[asyncpg.Record]]:
    """Return calls by what their people were allowed to be called for."""
    checks = [call["consent_check_id"] for call in calls if call["consent_check_id"]]
    found = await tx.fetch(PURPOSES, tx.actor.tenant_id, checks) if checks else []
    purposes = {row["id"]: Purpose(row["purpose"]) for row in found}
    sorted_out: dict[Purpose, list[asyncpg.Record]] = defaultdict(list)
    for call in calls:
        sorted_out[purposes.get(call["consent_check_id"], Purpose.enquiry)].append(call)
    return sorted_out


BEGIN = """
update crm.call
   set status = 'originating', updated_at = $3::timestamptz,
       steps = steps || jsonb_build_array(jsonb_build_object('status', 'originating', 'at', $3::timestamptz))
 where tenant_id = $1::uuid and id in (select unnest($2::uuid[]))
"""


async def _begin(tx: Tx, calls: Sequence[asyncpg.Record], *, now: datetime) -> None:
    if calls:
        await tx.execute(BEGIN, tx.actor.tenant_id, [call["id"] for call in calls], now)
        told = [("call", call["id"], "call.originating", rows.payload(call)) for call in calls]
        await events.record_many(tx, told, at=now)


GIVE_UP = """
update crm.call
   set status = $3::text, failure = $4::text, outcome = $6::text, ended_at = $5::timestamptz,
       updated_at = $5::timestamptz,
       steps = steps || jsonb_build_array(jsonb_build_object('status', $3::text, 'at', $5::timestamptz))
 where tenant_id = $1::uuid and id = $2::uuid and ended_at is null
returning id
"""


async def give_up(
    tx: Tx, call: Mapping[str, Any], failure: str, *, status: Status = Status.ended,
    outcome: Outcome = Outcome.failed, now: datetime,
) -> None:  # fmt: skip
    """End a call that never reached the exchange, within the operation that finds it cannot; free its agent again."""
    if not await tx.fetchval(GIVE_UP, tx.actor.tenant_id, call["id"], status.value, failure, now, outcome.value):
        return
    told = rows.payload(call) | {"outcome": outcome.value, "failure": failure}
    await events.record(tx, "call", call["id"], f"call.{status.value}", told, at=now)
    if call["agent_user_id"] is not None:
        await states.move(tx, call["agent_user_id"], State.available, call_id=call["id"], now=now)


REFUSE = """
update crm.exchange_ask
   set status = 'refused', failure = $4::text, answered_at = $3::timestamptz, args = args - 'digits'
 where tenant_id = $1::uuid and id in (select unnest($2::uuid[]))
"""
DEFECT = "ask.defect"
"""Why an ask was refused that we could not make sense of ourselves."""


async def _refuse(tx: Tx, ask_ids: Sequence[UUID], failure: str = "call.over", *, now: datetime) -> None:
    if ask_ids:
        await tx.execute(REFUSE, tx.actor.tenant_id, ask_ids, now, failure)


WITHDRAW = """
select id from crm.exchange_ask
 where tenant_id = $1::uuid and call_id = $2::uuid and kind = 'originate' and status = 'waiting' for update skip locked
"""


async def withdraw(tx: Tx, call: Mapping[str, Any], *, now: datetime) -> bool:
    """End a call (its row, locked) whose beginning was not sent yet, within the operation that ends it.

    Returns False when it is too late for that: what has been taken to be sent is sent.
    """
    waiting = await tx.fetch(WITHDRAW, tx.actor.tenant_id, call["id"])
    if waiting:
        await _refuse(tx, [ask["id"] for ask in waiting], rows.FAILURES[Outcome.cancelled], now=now)
        await give_up(tx, call, rows.FAILURES[Outcome.cancelled], outcome=Outcome.cancelled, now=now)
    return bool(waiting)


OLDEST = """
select id, call_id, kind from crm.exchange_ask
 where tenant_id = $1::uuid and status = 'waiting' and (not $3::boolean or expires_at <= $2::timestamptz)
 order by asked_at, id limit 1 for update skip locked
"""


@operation("call.send")
async def refuse_oldest(tx: Tx, *, only_late: bool = False, now: datetime) -> list[UUID]:
    """Refuse the ask that `claim` would take first, because it could not; return the call it was to begin, if any."""
    tx.unchanged()
    oldest = await tx.fetch(OLDEST, tx.actor.tenant_id, now, only_late)
    await _refuse(tx, [ask["id"] for ask in oldest], DEFECT, now=now)
    return [ask["call_id"] for ask in oldest if ask["kind"] == Kind.originate and ask["call_id"]]


@operation("call.send")
async def give_up_many(tx: Tx, call_ids: Sequence[UUID], failure: str, *, now: datetime) -> None:
    """End calls that never reached the exchange, and free their agents."""
    wrote = tx.events
    for call in (await rows.lock_many(tx, call_ids)).values():
        await give_up(tx, call, failure, now=now)
    if tx.events == wrote:
        tx.unchanged()


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an ask: `failure` is None when it was done; `is_sure` False: it may have been done all the same.

    `answer`: the exchange's own words, without numbers. `was_sent` False: nothing left us, it may be tried again.
    """

    id: UUID
    failure: str | None = None
    answer: str = ""
    is_sure: bool = True
    was_sent: bool = True

    @property
    def status(self) -> str:
        """How the ask stands with this answer."""
        if not self.was_sent:
            return "waiting"
        if not self.is_sure:
            return "unanswered"
        return "done" if self.failure is None else "refused"


SETTLE = """
update crm.exchange_ask a
   set status = w.status, failure = w.failure, answer = w.answer,
       answered_at = case when w.status = 'waiting' then null else $6::timestamptz end,
       sent_at = case when w.status = 'waiting' then null else a.sent_at end,
       args = case when w.status = 'waiting' then a.args else a.args - 'digits' end
  from unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) as w(id, status, failure, answer)
 where a.tenant_id = $1::uuid and a.id = w.id and a.status = 'sent'
returning a.id, a.call_id, a.kind, a.status, a.failure
"""


@operation("call.send")
async def settle(tx: Tx, answers: Iterable[Answered], *, now: datetime) -> None:
    """Keep what the exchange answered. A refused call has ended; a refused wish of an agent's is told to them."""
    wrote = tx.events
    rows_of = [(one.id, one.status, one.failure, vault.scrub(one.answer.replace("\0", "")) or None) for one in answers]
    columns = [list(column) for column in zip(*rows_of, strict=True)]
    settled = await tx.fetch(SETTLE, tx.actor.tenant_id, *columns, now)
    refused = [ask for ask in settled if ask["status"] == "refused" and ask["call_id"]]
    calls = await rows.lock_many(tx, list({ask["call_id"] for ask in refused})) if refused else {}
    for ask in refused:
        call = calls.get(ask["call_id"])
        if call is None:
            continue
        if ask["kind"] == Kind.originate:
            await give_up(tx, call, ask["failure"] or "exchange.refused", now=now)
        else:
            told = rows.payload(call) | {"kind": ask["kind"], "failure": ask["failure"]}
            await events.record(tx, "call", call["id"], "call.wish_refused", told, at=now)
    if tx.events == wrote:
        tx.unchanged()


@operation("call.send")
async def forget_sent(tx: Tx, *, before: datetime, now: datetime) -> int:
    """Note that what was sent until an instant was not answered; return how many there were.

    At a bridge's start that is what another one sent; later, what was taken by a claim of whose commit nobody was told.
    Whether it was done shows when the exchange is asked for its calls; it is not sent again.
    """
    done = await tx.execute(
        "update crm.exchange_ask"
        " set status = 'unanswered', failure = 'exchange.unanswered', answered_at = $2::timestamptz,"
        " args = args - 'digits'"
        " where tenant_id = $1::uuid and status = 'sent' and sent_at <= $3::timestamptz",
        tx.actor.tenant_id, now, before,
    )  # fmt: skip
    tx.unchanged()
    return int(done.split()[-1])
