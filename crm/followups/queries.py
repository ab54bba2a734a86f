"""Looking at follow-ups: a lead's procedure and check-ins, everybody's check-ins by when they are due, next steps."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import consent, paging, visibility
from crm.db import Tx
from crm.followups import rules
from crm.followups.rules import Ask, CheckIn, Facts, Quote
from crm.followups.steps import Step
from crm.leads import lifecycle
from crm.leads.rules import TERMINAL, Status
from crm.paging import Order, Page
from crm.sql import Args


async def procedure(tx: Tx, lead_id: UUID) -> asyncpg.Record | None:
    """Return the procedure of the cycle a lead is in, or None. Ask visibility first."""
    return await tx.fetchrow(
        "select p.id, p.cycle_no, p.type, p.takes_place_on, p.updated_at from crm.procedure p"
        " join crm.lead l on l.tenant_id = p.tenant_id and l.id = p.lead_id and l.cycle_no = p.cycle_no"
        " where p.tenant_id = $1::uuid and p.lead_id = $2::uuid",
        tx.actor.tenant_id, lead_id,
    )  # fmt: skip


async def sales(tx: Tx, lead_id: UUID) -> list[asyncpg.Record]:
    """Return a lead's sales, cancelled ones too, the latest first. Ask visibility first."""
    return await tx.fetch(
        "select * from crm.sale where tenant_id = $1::uuid and lead_id = $2::uuid order by sold_at desc, id desc",
        tx.actor.tenant_id, lead_id,
    )  # fmt: skip


async def check_ins(tx: Tx, lead_id: UUID) -> list[asyncpg.Record]:
    """Return all check-ins of a lead, of every cycle, the first due first. Ask visibility first."""
    return await tx.fetch(
        "select * from crm.check_in where tenant_id = $1::uuid and lead_id = $2::uuid order by due_at, id",
        tx.actor.tenant_id, lead_id,
    )  # fmt: skip


ORDER = Order("due_at", "timestamptz", False, "k")
ITEM = """json_build_object(
  'id', k.id, 'lead_id', k.lead_id, 'procedure_id', k.procedure_id, 'cycle_no', k.cycle_no, 'day', k.day,
  'status', k.status, 'due_at', k.due_at, 'replaces', k.replaces, 'reason', k.reason, 'closed_by', k.closed_by,
  'closed_at', k.closed_at)::text"""


async def pending(
    tx: Tx,
    *,
    due_to: datetime | None = None,
    owners: Sequence[UUID] = (),
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return a page of the pending check-ins of leads one sees, the first due first; `due_to` (UTC) is left out.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    args = Args()
    places = paging.Cursor.of("check_ins", tx.actor, filter=[due_to, list(owners)])
    where = [f"k.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}", "k.status = 'pending'"]
    if due_to is not None:
        where.append(f"k.due_at < {args.add(due_to, 'timestamptz')}")
    if owners:
        where.append(f"l.owner_id in (select unnest({args.add(list(owners), 'uuid[]')}))")
    if cursor:
        where.append(ORDER.after(args, places.read(cursor, ORDER.kind)))
    size = max(1, min(limit, paging.LARGEST))
    found = await tx.fetch(
        f"select k.id, k.due_at as place, {ITEM} as item from crm.check_in k"
        " join crm.lead l on l.tenant_id = k.tenant_id and l.id = k.lead_id"
        f" where {' and '.join(where)} and {visibility.condition(tx.actor, args)}"
        f" order by {ORDER.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and places.sign(last["place"], last["id"]))


ENQUIRY, SERVICE = consent.Purpose.enquiry, consent.Purpose.service

FACTS = """
select l.contact_id, l.status, l.status_changed_at, l.received_at, l.cycle_no, {setting} as lifecycle,
       case when l.owner_id is null then coalesce(
         (select max(a.ended_at) from crm.lead_assignment a
           where a.tenant_id = l.tenant_id and a.lead_id = l.id and a.user_id is not null), l.received_at)
       end as unowned_since,
       q.status as quote_status, coalesce(q.decided_at, q.created_at) as quote_since, q.valid_until,
       exists (select from crm.procedure p where p.tenant_id = l.tenant_id and p.lead_id = l.id
                  and p.cycle_no = l.cycle_no and p.takes_place_on is not null) as has_procedure_day,
       coalesce((select min(a.occurred_at) from crm.activity a
                  where a.tenant_id = l.tenant_id and a.lead_id = l.id and a.kind = 'lead.status_changed'
                    and (a.detail ->> 'cycle_no')::int = l.cycle_no and l.cycle_no > 1), l.received_at) as began_at
  from crm.lead l
  left join lateral (
    select * from crm.quote q where q.tenant_id = l.tenant_id and q.lead_id = l.id and q.cycle_no = l.cycle_no
     order by q.version desc limit 1) q on true
 where l.tenant_id = {tenant} and l.id = {lead}
"""

TALKS = """
select kind, channel, direction, outcome, occurred_at, coalesce((detail ->> 'is_human')::boolean, true) as is_human
  from crm.activity
 where tenant_id = $1::uuid and lead_id = $2::uuid and kind in ('call', 'message', 'meeting')
   and ($3::timestamptz is null or occurred_at >= $3::timestamptz)
 order by occurred_at desc, id desc limit 50
"""


async def next_steps(tx: Tx, lead_id: UUID, *, now: datetime) -> list[Step]:
    """Return what to do next with a lead and why (`rules.suggest`). Ask visibility first."""
    args = Args()
    places = {"tenant": args.add(tx.actor.tenant_id, "uuid"), "lead": args.add(lead_id, "uuid")}
    setting = lifecycle.SETTING.format(tenant="l.tenant_id", at=args.add(now, "timestamptz"))
    row = await tx.fetchrow(FACTS.format(setting=setting, **places), *args)
    assert row is not None, "the caller has just seen it"
    since = row["began_at"] if row["cycle_no"] > 1 else None  # a source may tell of calls before we heard of the lead
    talks = await tx.fetch(TALKS, tx.actor.tenant_id, lead_id, since)
    due = [each for each in await check_ins(tx, lead_id) if each["status"] == "pending"]
    machine, status = lifecycle.read(row["lifecycle"]), Status(row["status"])
    facts = Facts(
        status=status,
        status_since=row["status_changed_at"],
        began_at=row["began_at"],
        unowned_since=row["unowned_since"],
        may_become=frozenset(machine.choices(status)),
        required=machine.required,
        channels={} if status in TERMINAL else await _channels(tx, row["contact_id"], ENQUIRY, now),
        service_channels=await _channels(tx, row["contact_id"], SERVICE, now) if due else {},
        quote=Quote(row["quote_status"], row["quote_since"], row["valid_until"]) if row["quote_status"] else None,
        check_ins=tuple(CheckIn(each["id"], each["day"], each["due_at"]) for each in due),
        has_procedure_day=row["has_procedure_day"],
        **_attempts(talks),
    )
    return rules.suggest(facts, now)


def _attempts(talks: Sequence[asyncpg.Record]) -> dict[str, Any]:
    """Return what the talks of a cycle, the latest first, tell of attempts, of talking, and of who waits for whom."""
    ours = [each for each in talks if each["direction"] == "outbound" and each["is_human"]]
    spoken = [each for each in talks if _has_met(each)]
    return {
        "attempts": len(ours),
        "unanswered": sum(each["is_human"] for each in itertools.takewhile(_is_in_vain, talks)),
        "last_attempt_at": ours[0]["occurred_at"] if ours else None,
        "last_outcome": ours[0]["outcome"] if ours else None,
        "spoke_at": spoken[0]["occurred_at"] if spoken else None,
        "ask": _ask(talks),
    }


def _is_in_vain(talk: asyncpg.Record) -> bool:
    """Tell whether we tried and nobody answered."""
    return talk["direction"] == "outbound" and talk["outcome"] in rules.UNANSWERED


def _has_met(talk: asyncpg.Record) -> bool:
    """Tell whether people spoke: a meeting, or a call or message that reached somebody."""
    return talk["kind"] == "meeting" or (talk["outcome"] is not None and talk["outcome"] not in rules.UNANSWERED)


def _ask(talks: Sequence[asyncpg.Record]) -> Ask | None:
    """Return the oldest of what the customer wrote, or called in vain, since somebody of ours last spoke to them."""
    found = None
    for talk in talks:
        wants = talk["direction"] == "inbound" and (talk["kind"] == "message" or not _has_met(talk))
        if not wants and (talk["is_human"] or talk["direction"] == "inbound"):
            break
        if wants:
            found = Ask(talk["channel"], talk["occurred_at"])
    return found


async def _channels(tx: Tx, contact_id: UUID, purpose: consent.Purpose, now: datetime) -> dict[str, datetime]:
    """Return through which channels the person may be contacted for a purpose, each with the first instant (UTC)."""
    found: dict[str, datetime] = {}
    for code in rules.CONTACTS:
        answer = await consent.may_contact(
            tx, contact_id, consent.Channel(code.value), purpose, at=now
        )  # fmt: skip
        if answer.is_allowed:
            found[code.value] = now
        elif answer.not_before is not None:
            found[code.value] = answer.not_before
    return found
