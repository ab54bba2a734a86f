"""Saying what came of a call, within the time there is for it; what nobody says in time is noted as nothing said.

The lead follows as far as its status machine lets it: a move it does not know is refused and told, and what was said of
the call stays said.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, tenant_settings, timeline
from crm.actor import Forbidden
from crm.agents import states
from crm.agents.rules import State
from crm.calls import catalogue, rows, visible
from crm.calls.catalogue import FORCED, Disposition
from crm.calls.wrapping import WRAP
from crm.consent import facts
from crm.consent.facts import Fact
from crm.consent.rules import Channel, Purpose
from crm.consent.rules import Status as Said
from crm.db import Tx
from crm.leads import operations as leads
from crm.leads.rules import Status
from crm.operation import operation
from crm.sql import Args

ANY = "call.dispose.any"
BATCH = 200
OPTED_OUT = (Purpose.marketing, Purpose.enquiry)
"""The purposes of calls that somebody refuses who wants no more of them; what was agreed on is still talked about."""
REFUSALS = (leads.BadTransition, leads.FieldsMissing, leads.UnknownReason, leads.LeadNotFound, Forbidden)
"""Why a lead does not follow; it is told, and nothing else is undone by it."""


class DispositionLate(errors.Conflict):
    """The time to say what came of this call is over; ask a supervisor."""

    code = "call.disposition_late"


class NotOver(errors.Conflict):
    """This call goes on, or was never one: there is nothing to say of it yet."""

    code = "call.not_ended"


class NobodyKnown(errors.Invalid):
    """Nobody is known on this call: there is no timeline for a note, and nobody to call back or to leave alone."""

    code = "call.nobody_known"


@dataclass(frozen=True, slots=True)
class Disposed:
    """What was said. `refusal`: why the lead did not follow; `lead_status`: how it stands now, None without a lead.

    `is_new`: it had not been said before.
    """

    code: str
    lead_status: str | None
    refusal: errors.CrmError | None
    is_new: bool = True


DISPOSE = """
update crm.call
   set status = 'dispositioned', disposition = $3::text, disposition_by = $4::uuid, is_disposition_forced = false,
       disposition_party = $6::text, callback_wanted_at = $7::timestamptz,
       wrap_ended_at = case when wrap_began_at is not null then coalesce(wrap_ended_at, $5::timestamptz) end,
       updated_at = $5::timestamptz,
       steps = case when status = 'dispositioned' then steps else
               steps || jsonb_build_array(jsonb_build_object('status', 'dispositioned', 'at', $5::timestamptz)) end
 where tenant_id = $1::uuid and id = $2::uuid
"""


@operation("call.dispose")
async def dispose(
    tx: Tx, call_id: UUID, code: str, *, note: str | None = None, callback_at: datetime | None = None, now: datetime
) -> Disposed:
    """Say what came of an own call that has ended; it may be said again, otherwise, until the time for it is over.

    `callback_at` (UTC): when the person wants to be called again. Who may dispose of others' calls is a supervisor and
    knows no deadline.

    :raises rows.CallNotFound: when there is no such call the actor may dispose of.
    :raises NotOver: when it has not ended.
    :raises DispositionLate: when the time is over.
    :raises NobodyKnown: when a note, a callback or an opting out belongs to nobody.
    :raises catalogue.UnknownDisposition, catalogue.DispositionIncomplete: see `catalogue.find`.
    """
    row = await rows.lock(tx, call_id)
    await _require_right(tx, row)
    if row["ended_at"] is None or row["source"] == "historical":
        raise NotOver
    if not tx.actor.may(ANY) and now >= await _deadline(tx, row, now=now):
        raise DispositionLate
    choices = await catalogue.of(tx, row["process_version_id"], at=now)
    chosen = catalogue.find(choices, code, note=note, callback_at=callback_at, now=now)
    if row["contact_id"] is None and (note or callback_at or chosen.opts_out):
        raise NobodyKnown
    if (row["disposition"], row["callback_wanted_at"]) == (code, callback_at) and not note:
        tx.unchanged()
        return Disposed(code, await _lead_status(tx, row), None, is_new=False)
    await _write(tx, row, code, chosen, note=note, callback_at=callback_at, now=now)
    refusal = await _move_lead(tx, row, chosen, now=now)
    if chosen.opts_out:
        await _opt_out(tx, row, now=now)
    return Disposed(code, await _lead_status(tx, row), refusal)


async def _require_right(tx: Tx, row: asyncpg.Record) -> None:
    if row["agent_user_id"] is not None and row["agent_user_id"] == tx.actor.user_id:
        return
    args = Args()
    which = f"c.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and c.id = {args.add(row['id'], 'uuid')}"
    seen = f"select true from crm.call c where {which} and {visible.condition(tx.actor, args)}"
    if not tx.actor.may(ANY) or not await tx.fetchval(seen, *args):
        raise rows.CallNotFound


async def _deadline(tx: Tx, row: asyncpg.Record, *, now: datetime) -> datetime:
    """Return until when something may be said; a call without a conversation has the usual time from its end on."""
    if row["wrap_until"] is not None:
        until: datetime = row["wrap_until"]
        return until
    wrap_s: int = await tenant_settings.value(tx, WRAP, at=row["ended_at"])
    ended: datetime = row["ended_at"]
    return ended + timedelta(seconds=wrap_s)


async def _write(
    tx: Tx, row: asyncpg.Record, code: str, chosen: Disposition, *, note: str | None, callback_at: datetime | None,
    now: datetime,
) -> None:  # fmt: skip
    """Write what was said with its traces; the agent who was writing it up is free again."""
    await tx.execute(DISPOSE, tx.actor.tenant_id, row["id"], code, tx.actor.user_id, now, chosen.party, callback_at)
    told = {
        "disposition": code, "party": chosen.party, "is_forced": False, "previous": row["disposition"],
        "callback_at": callback_at,
    }  # fmt: skip
    if row["contact_id"] is not None:
        detail = {"call_id": row["id"], "previous": row["disposition"], "callback_at": callback_at}
        await timeline.record(
            tx, row["contact_id"], "call.dispositioned", at=now, lead_id=row["lead_id"], channel="call", outcome=code,
            detail=detail, note=note,
        )  # fmt: skip
    await events.record(tx, "call", row["id"], "call.dispositioned", rows.payload(row, **told), at=now)
    await audit.of_person(tx, "call.dispose", "call", row["id"], told, at=now)
    if row["status"] == "wrap_up" and row["agent_user_id"] is not None:
        await states.move(tx, row["agent_user_id"], State.available, call_id=row["id"], now=now)


async def _move_lead(tx: Tx, row: asyncpg.Record, chosen: Disposition, *, now: datetime) -> errors.CrmError | None:
    """Take the call's lead where the disposition leads; return why it did not follow."""
    current = await _lead_status(tx, row)
    if current is None or chosen.status is None or not chosen.moves(Status(current)):
        return None
    try:
        await leads.change_status(tx, row["lead_id"], chosen.status, reason=chosen.loss_reason, now=now)
    except REFUSALS as refusal:  # asked and refused before anything was changed: what was said of the call stands
        return refusal
    return None


async def _opt_out(tx: Tx, row: asyncpg.Record, *, now: datetime) -> None:
    """Write down that the person wants no such calls, whoever's contact they are: they said so to whoever spoke."""
    said = [
        Fact(
            row["contact_id"], Channel.call, purpose, Said.denied, "call", {"call_id": str(row["id"])},
            lead_id=row["lead_id"],
        )
        for purpose in OPTED_OUT
    ]  # fmt: skip
    for fact, fact_id in zip(said, await facts.write(tx, said, now=now), strict=True):
        told = {"consent_id": fact_id, "channel": "call", "purpose": fact.purpose.value, "call_id": row["id"]}
        await events.record(tx, "contact", row["contact_id"], "contact.consent_denied", told, at=now)
        await audit.of_person(tx, "consent.record", "contact", row["contact_id"], told, at=now)


async def _lead_status(tx: Tx, row: asyncpg.Record) -> str | None:
    found: str | None = row["lead_id"] and await tx.fetchval(
        "select status from crm.lead where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, row["lead_id"]
    )
    return found


DUE = """
select id from crm.call
 where tenant_id = $1::uuid and status = 'wrap_up' and wrap_until <= $2::timestamptz
 order by id limit $3::int for update skip locked
"""
FORCE = f"""
update crm.call
   set status = 'dispositioned', disposition = '{FORCED}', is_disposition_forced = true, wrap_ended_at = wrap_until,
       updated_at = $3::timestamptz,
       steps = steps || jsonb_build_array(jsonb_build_object('status', 'dispositioned', 'at', wrap_until))
 where tenant_id = $1::uuid and id in (select unnest($2::uuid[]))
returning id, wrap_until, {", ".join(rows.TOLD)}
"""


@operation(ANY)
async def force_due(tx: Tx, *, now: datetime) -> int:
    """Dispose of the calls whose time is over without anybody having said anything; return how many, `BATCH` at most.

    Safe to repeat: what was disposed of is no longer being written up.
    """
    due = [row["id"] for row in await tx.fetch(DUE, tx.actor.tenant_id, now, BATCH)]
    if not due:
        tx.unchanged()
        return 0
    forced = await tx.fetch(FORCE, tx.actor.tenant_id, due, now)
    await events.record_dated(tx, (_forced(row) for row in forced))
    for row in sorted(forced, key=lambda row: row["agent_user_id"]):
        await states.move(tx, row["agent_user_id"], State.available, call_id=row["id"], now=now)
    await audit.of_person(tx, "call.dispose", "call", None, {"forced": len(forced)}, at=now)
    return len(forced)


def _forced(row: asyncpg.Record) -> tuple[str, UUID, str, dict[str, Any], datetime]:
    told = rows.payload(
        row, disposition=FORCED, party=None, is_forced=True, previous=None, callback_at=None
    )  # fmt: skip
    return "call", row["id"], "call.dispositioned", told, row["wrap_until"]


async def next_moment(tx: Tx) -> datetime | None:
    """Return when the next wrap-up ends by itself (UTC), None when nobody is writing anything up."""
    found: datetime | None = await tx.fetchval(
        "select min(wrap_until) from crm.call where tenant_id = $1::uuid and status = 'wrap_up'", tx.actor.tenant_id
    )
    return found
