"""What people do with callbacks: promise one, agree on another time, take it, cancel it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import codes, consent, errors, ids, tenant_settings
from crm.callbacks import rows, settings
from crm.callbacks.rules import FOR_GOOD, UNSAID, Kind, Next, Status
from crm.consent import Answer, Channel, LegalBasis, Purpose, Statement
from crm.contacts.queries import require_visible
from crm.db import Tx
from crm.operation import operation

FARTHEST = timedelta(days=90)
LONGEST = timedelta(days=7)
JUST = timedelta(days=1)
"""How long ago a call may be for its agent to promise its customer another one."""
PURPOSE = Purpose.enquiry
"""What a callback is for, to the law: answering what the person asked."""


class NoPromise(errors.Invalid):
    """This cannot be promised."""

    code = "callback.invalid"


class NotCallable(errors.NotAllowed):
    """This person may not be called; `fields` says why, and until when where waiting helps."""

    code = "callback.not_callable"


class Promised(errors.Conflict):
    """This person is promised a callback from there already: change that one."""

    code = "callback.promised"


class TakenBefore(errors.Conflict):
    """Somebody else makes this callback."""

    code = "callback.taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A callback to promise: whom, who makes it (a queue, an agent, or the agent and else the queue), and when.

    Times are UTC; `promised_from` None: at once. `promised_until` None: so many minutes later as the firm has set.
    `evidence`: how we know that the person asked for it, kept with the consent when one has to be written down.
    """

    kind: Kind
    contact_id: UUID
    lead_id: UUID | None = None
    queue: str | None = None
    agent_user_id: UUID | None = None
    promised_from: datetime | None = None
    promised_until: datetime | None = None
    evidence: Mapping[str, str] | None = None


INSERT = """
insert into crm.callback
  (tenant_id, id, contact_id, lead_id, kind, status, queue, agent_user_id, source_call_id, priority, enqueued_at,
   promised_from, promised_until, due_at, expires_at, requested_by, requested_at, updated_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::text, $6::text, $7::text, $8::uuid, $9::uuid, $10::int,
        $11::timestamptz, $12::timestamptz, $13::timestamptz, $14::timestamptz, $15::timestamptz, $16::uuid,
        $17::timestamptz, $17::timestamptz)
returning *
"""


@operation("callback.work")
async def request(tx: Tx, wanted: Request, *, now: datetime) -> UUID:
    """Promise somebody a callback and return its id.

    Who asks for a call by a form or at the telephone allows it thereby; that is written down as their word when nothing
    else allowed it. An agent's own note does not, nor does anything lift the do-not-contact list.

    :raises crm.contacts.queries.ContactNotFound: when there is no such contact for the actor.
    :raises NoPromise: when the time lies in the past or too far ahead, nobody is named to make it, or they, or the
        lead, do not exist.
    :raises NotCallable: when the person may not be called then.
    :raises Promised: when this person is promised one from the same queue (or agent) already.
    """
    await _lock_person(tx, wanted.contact_id, now=now)
    await _require_there(tx, wanted)
    window, patience = await tenant_settings.values(tx, settings.WINDOW_MINUTES, settings.PATIENCE_MINUTES, at=now)
    begins, ends = times(wanted.promised_from, wanted.promised_until, timedelta(minutes=window), now=now)
    await require_unpromised(tx, wanted.contact_id, wanted.queue, wanted.agent_user_id)
    callback_id, expires_at = ids.new(), ends + timedelta(minutes=patience)
    answer = await consent.may_contact(tx, wanted.contact_id, Channel.call, PURPOSE, at=begins)
    due_at = await _allow(tx, wanted, answer, callback_id, begins=begins, ends=ends, good_until=expires_at, now=now)
    row = await tx.fetchrow(
        INSERT, tx.actor.tenant_id, callback_id, wanted.contact_id, wanted.lead_id, wanted.kind.value,
        Status.requested.value, wanted.queue, wanted.agent_user_id, None, 0, begins, begins, ends, due_at, expires_at,
        tx.actor.user_id, now,
    )  # fmt: skip
    assert row is not None, "what is inserted returns its row"
    await tell_requested(tx, row, now=now)
    await rows.move(tx, row, Next(Status.scheduled, due_at), now=now)
    return callback_id


SPOKE = """
select true from crm.call where tenant_id = $1::uuid and contact_id = $2::uuid and agent_user_id = $3::uuid
   and requested_at > $4::timestamptz limit 1
"""


async def _lock_person(tx: Tx, contact_id: UUID, *, now: datetime) -> None:
    """Lock a contact until the transaction ends, so that nobody else promises them the same meanwhile.

    One promises callbacks to people one sees, and to those one has just had on the telephone.

    :raises crm.contacts.queries.ContactNotFound: when there is no such contact for the actor.
    """
    if not await tx.fetchval(SPOKE, tx.actor.tenant_id, contact_id, tx.actor.user_id, now - JUST):
        await require_visible(tx, contact_id)
    await tx.execute(
        "select from crm.contact where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, contact_id,
    )  # fmt: skip


async def tell_requested(tx: Tx, row: asyncpg.Record, *, now: datetime) -> None:
    """Tell that a callback was promised, within the operation that promises it."""
    window = {name: row[name] for name in ("promised_from", "promised_until")}
    await rows.tell(tx, row, "requested", now=now, source_call_id=row["source_call_id"], **window)


OPEN_ONE = """
select id from crm.callback where tenant_id = $1::uuid and contact_id = $2::uuid and ended_at is null
   and queue is not distinct from $3::text and (queue is not null or agent_user_id = $4::uuid) limit 1
"""


async def require_unpromised(tx: Tx, contact_id: UUID, queue: str | None, agent_user_id: UUID | None) -> None:
    """:raises Promised: when a locked contact is promised a callback from a queue (or an agent alone) already."""
    found = await tx.fetchval(OPEN_ONE, tx.actor.tenant_id, contact_id, queue, agent_user_id)
    if found is not None:
        raise Promised(fields={"callback_id": str(found)})


def times(
    begins: datetime | None, ends: datetime | None, window: timedelta, *, now: datetime
) -> tuple[datetime, datetime]:
    """Return from when until when a callback is promised (UTC): at once and for a window, where nothing else is said.

    :raises NoPromise: when that lies in the past or too far ahead, or ends before it begins.
    """
    if begins is not None and begins < now - timedelta(minutes=1):
        raise NoPromise(fields={"promised_from": "lies in the past"})
    if begins is not None and begins > now + FARTHEST:
        raise NoPromise(fields={"promised_from": f"at most {FARTHEST.days} days ahead"})
    since = max(begins or now, now)
    until = ends or since + window
    if not since < until <= since + LONGEST:
        raise NoPromise(fields={"promised_until": f"after promised_from, by {LONGEST.days} days at most"})
    return since, until


async def _require_there(tx: Tx, wanted: Request) -> None:
    if wanted.queue is None and wanted.agent_user_id is None:
        raise NoPromise(fields={"queue": "a queue or an agent makes it"})
    asked = {
        "queue": (wanted.queue, "select true from crm.queue where tenant_id = $1::uuid and code = $2::text"
                                " and retired_at is null"),
        "agent_user_id": (wanted.agent_user_id, "select true from crm.agent where tenant_id = $1::uuid"
                                                " and user_id = $2::uuid"),
        "lead_id": (wanted.lead_id, "select contact_id = $3::uuid from crm.lead where tenant_id = $1::uuid"
                                    " and id = $2::uuid"),
    }  # fmt: skip
    for field, (value, sql) in asked.items():
        more = (wanted.contact_id,) if field == "lead_id" else ()
        if value is not None and not await tx.fetchval(sql, tx.actor.tenant_id, value, *more):
            raise NoPromise(fields={field: "there is none"})


async def _allow(
    tx: Tx, wanted: Request, answer: Answer, callback_id: UUID, *, begins: datetime, ends: datetime,
    good_until: datetime, now: datetime,
) -> datetime:  # fmt: skip
    """Return when the person may be called first (UTC), their own wish written down where it is what allows it."""
    if answer.reason is None:
        return begins
    may_ask = answer.reason in UNSAID and wanted.kind is not Kind.agent
    if may_ask:
        await note_wish(
            tx, wanted.contact_id, wanted.lead_id, wanted.kind, callback_id, good_until, wanted.evidence, now=now
        )
        answer = await consent.may_contact(tx, wanted.contact_id, Channel.call, PURPOSE, at=max(begins, now))
    if answer.reason is None:
        return begins
    fields = {"reason": answer.reason.value}
    if answer.not_before is not None and answer.reason not in FOR_GOOD | UNSAID:
        if answer.not_before < ends:
            return answer.not_before
        fields["not_before"] = answer.not_before.isoformat()
    raise NotCallable(fields=fields)


async def note_wish(
    tx: Tx, contact_id: UUID, lead_id: UUID | None, kind: Kind, callback_id: UUID, good_until: datetime,
    evidence: Mapping[str, str] | None, *, now: datetime,
) -> None:  # fmt: skip
    """Write down that a person asked to be called, good for this callback's time."""
    told: dict[str, Any] = {"callback_id": str(callback_id), "asked_by": kind.value, **(evidence or {})}
    await consent.record(
        tx, contact_id,
        Statement(
            Channel.call, PURPOSE, consent.Status.granted, "callback", told, LegalBasis.request,
            valid_until=good_until, lead_id=lead_id,
        ),
        now=now,
    )  # fmt: skip


@operation("callback.work")
async def reschedule(
    tx: Tx, callback_id: UUID, promised_from: datetime, promised_until: datetime | None = None, *,
    reason: str = "agreed", now: datetime,
) -> None:  # fmt: skip
    """Agree with the customer on another time (UTC); again the same changes nothing.

    :raises crm.callbacks.rows.CallbackNotFound: when there is none for the actor.
    :raises crm.callbacks.rows.Closed, crm.callbacks.rows.InProgress: when it has ended, or is being made.
    :raises NoPromise: when the time lies in the past or too far ahead.
    :raises NotCallable: when the person may not be called then.
    """
    codes.require(reason=reason)
    row = await rows.lock(tx, callback_id)
    if row["status"] == Status.requested:
        raise rows.InProgress("the caller is still in the queue")
    window, patience = await tenant_settings.values(tx, settings.WINDOW_MINUTES, settings.PATIENCE_MINUTES, at=now)
    begins, ends = times(promised_from, promised_until, timedelta(minutes=window), now=now)
    if (begins, ends) == (row["promised_from"], row["promised_until"]):
        tx.unchanged()
        return
    wanted = Request(kind=Kind(row["kind"]), contact_id=row["contact_id"])
    expires_at = ends + timedelta(minutes=patience)
    answer = await consent.may_contact(tx, row["contact_id"], Channel.call, PURPOSE, at=begins)
    due_at = await _allow(tx, wanted, answer, callback_id, begins=begins, ends=ends, good_until=expires_at, now=now)
    await rows.promise_anew(tx, row, begins, ends, expires_at)
    told = {"promised_from": begins, "promised_until": ends, "was_promised_until": row["promised_until"]}
    await rows.move(tx, row, Next(Status.scheduled, due_at, reason), happened="rescheduled", now=now, **told)


@operation("callback.work")
async def take(tx: Tx, callback_id: UUID, *, now: datetime) -> None:
    """Make a callback oneself, at once: one's own telephone rings first. Again changes nothing.

    :raises crm.callbacks.rows.CallbackNotFound: when there is none for the actor.
    :raises crm.callbacks.rows.Closed, crm.callbacks.rows.InProgress: when it has ended, or is being made.
    :raises TakenBefore: when somebody else makes it, and one may not change that.
    :raises NoPromise: when the actor has no telephone.
    """
    row = await rows.lock(tx, callback_id)
    if row["status"] == Status.requested:
        raise rows.InProgress("the caller is still in the queue")
    me = tx.actor.user_id
    if row["agent_user_id"] not in (None, me) and not tx.actor.may("callback.manage"):
        raise TakenBefore
    if row["agent_user_id"] == me and row["due_at"] <= now:
        tx.unchanged()
        return
    has_telephone = "select true from crm.agent where tenant_id = $1::uuid and user_id = $2::uuid"
    if me is None or not await tx.fetchval(has_telephone, tx.actor.tenant_id, me):
        raise NoPromise("an agent takes it, at their telephone", fields={"agent_user_id": "has no telephone"})
    await tx.execute(
        "update crm.callback set agent_user_id = $3::uuid where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, callback_id, me,
    )  # fmt: skip
    told = {**row, "agent_user_id": me}
    await rows.move(tx, told, Next(Status.scheduled, now, "taken"), happened="taken", now=now)


@operation("callback.work")
async def cancel(tx: Tx, callback_id: UUID, *, reason: str, now: datetime) -> None:
    """Cancel a callback for a reason (a code): the customer does not want it any more, say. Cancelled stays cancelled.

    :raises crm.callbacks.rows.CallbackNotFound: when there is none for the actor.
    :raises crm.callbacks.rows.Closed, crm.callbacks.rows.InProgress: when it has ended otherwise, or is being made.
    """
    codes.require(reason=reason)
    try:
        row = await rows.lock(tx, callback_id)
    except rows.Closed:
        status = "select status from crm.callback where tenant_id = $1::uuid and id = $2::uuid"
        if await tx.fetchval(status, tx.actor.tenant_id, callback_id) != Status.cancelled:
            raise
        tx.unchanged()
        return
    await rows.move(tx, row, Next(Status.cancelled, reason=reason), now=now)
