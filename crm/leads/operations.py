"""What changes a lead after it was stored. Each writes state, timeline, event and, done by a person, an audit row."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, timeline, vault, visibility
from crm.db import Tx, to_json
from crm.leads import rules
from crm.leads.rules import Channel, Direction, Status
from crm.money import Money
from crm.operation import operation
from crm.sql import Args

CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
EDITABLE = {"tags": "text[]", "attributes": "jsonb", "geography": "text", "keyword": "text"}
"""What may be changed by hand: nothing that says where the lead came from, nothing that has its own operation."""


class LeadNotFound(errors.NotFound):
    """There is no such lead, or it is not yours to see."""

    code = "lead.not_found"


class BadTransition(errors.Conflict):
    """A lead in this status cannot become that."""

    code = "lead.transition"


class ReasonMissing(errors.Invalid):
    """A lost lead needs the reason of its loss."""

    code = "lead.reason_missing"


class NotACode(errors.Invalid):
    """A code is lower-case letters, digits, dots, dashes and underscores, at most sixty; free text goes into a note."""

    code = "code.invalid"


class UnknownAssignee(errors.Invalid):
    """There is no such active person or team to give leads to."""

    code = "assignee.unknown"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One lead to be given to a person, a team or both; `reason` is a code (`manual`, `router.round_robin`)."""

    lead_id: UUID
    user_id: UUID | None
    reason: str
    team_id: UUID | None = None
    decision_id: UUID | None = None


def _require_code(field: str, value: str) -> None:
    if not CODE.fullmatch(value):
        raise NotACode(fields={field: "lower-case letters, digits, . - _; at most 60"})


async def _lock(tx: Tx, lead_id: UUID) -> asyncpg.Record:
    """Return a visible lead's row, locked until the transaction ends."""
    args = Args()
    which = f"l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')} and l.id = {args.add(lead_id, 'uuid')}"
    row = await tx.fetchrow(
        "select l.id, l.contact_id, l.status, l.cycle_no, l.owner_id, l.status_changed_at, l.first_attempt_at,"
        " l.tags, l.attributes, l.geography, l.keyword"
        f" from crm.lead l where {which} and {visibility.condition(tx.actor, args)} for update",
        *args,
    )
    if row is None:
        raise LeadNotFound
    return row


@operation("lead.edit")
async def update(tx: Tx, lead_id: UUID, changes: Mapping[str, Any], *, note: str | None = None, now: datetime) -> None:
    """Change fields of a lead (`EDITABLE`) and add a note to its timeline; attribute values are scrubbed.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises errors.Invalid: when a field is not one that may be changed.
    """
    if unknown := changes.keys() - EDITABLE.keys():
        raise errors.Invalid("this cannot be changed", fields=dict.fromkeys(sorted(unknown), "cannot be changed"))
    row = await _lock(tx, lead_id)
    wanted = {
        name: {key: vault.scrub(text) for key, text in value.items()} if name == "attributes" else value
        for name, value in changes.items()
    }
    changed = {name: value for name, value in wanted.items() if row[name] != value}
    if not changed and not note:
        tx.unchanged()
        return
    args = Args([tx.actor.tenant_id, lead_id, now])
    settings = "".join(
        f", {name} = {args.add(to_json(value) if name == 'attributes' else value, EDITABLE[name])}"
        for name, value in changed.items()
    )
    await tx.execute(
        f"update crm.lead set updated_at = $3::timestamptz{settings} where tenant_id = $1::uuid and id = $2::uuid",
        *args,
    )
    fields = sorted(changed)
    await timeline.record(
        tx, row["contact_id"], "lead.updated" if changed else "note", at=now, lead_id=lead_id,
        detail={"fields": fields}, note=note,
    )  # fmt: skip
    await events.record(tx, "lead", lead_id, "lead.updated", {"fields": fields, "has_note": bool(note)}, at=now)
    await audit.of_person(tx, "lead.update", "lead", lead_id, {"fields": fields}, at=now)


async def _move(tx: Tx, row: asyncpg.Record, to: Status, *, reason: str | None, note: str | None, now: datetime) -> int:
    """Take a locked lead to another status with all its traces; return the cycle it is in then."""
    current = Status(row["status"])
    if not rules.may_become(current, to):
        raise BadTransition(f"a lead that is {current} cannot become {to}")
    cycle_no = rules.next_cycle(current, to, row["cycle_no"])
    await tx.execute(
        "update crm.lead set status = $3::text, cycle_no = $4::int, loss_reason = $5::text,"
        " status_changed_at = $6::timestamptz, updated_at = $6::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, row["id"], to.value, cycle_no, reason if to is Status.lost else None, now,
    )  # fmt: skip
    detail = {"from": current.value, "to": to.value, "reason": reason, "cycle_no": cycle_no}
    await timeline.record(
        tx, row["contact_id"], "lead.status_changed", at=now, lead_id=row["id"], detail=detail, note=note
    )
    await events.record(tx, "lead", row["id"], "lead.status_changed", detail, at=now)
    await audit.of_person(tx, "lead.status", "lead", row["id"], detail, at=now)
    return cycle_no


@operation("lead.status")
async def change_status(
    tx: Tx, lead_id: UUID, to: Status, *, reason: str | None = None, note: str | None = None, now: datetime
) -> None:
    """Move a lead to another status. `reason` is a code, and required for `lost`; free text goes into `note`.

    The status it has already changes nothing. `assigned` is reached by `assign` alone.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises BadTransition: when it cannot become that from where it stands.
    :raises ReasonMissing: when it is lost without a reason.
    """
    if reason is not None:
        _require_code("reason", reason)
    row = await _lock(tx, lead_id)
    if row["status"] == to.value:
        tx.unchanged()
        return
    if to is Status.assigned:
        raise BadTransition("a lead becomes assigned by giving it to somebody")
    if to is Status.lost and reason is None:
        raise ReasonMissing(fields={"reason": "required for lost"})
    await _move(tx, row, to, reason=reason, note=note, now=now)


@operation("lead.status")
async def record_sale(tx: Tx, lead_id: UUID, money: Money, *, now: datetime) -> None:
    """Close a lead as won and record the sale; the money's minor units count in its currency's own exponent.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises BadTransition: when it is won already, or lost and not reopened.
    :raises errors.Invalid: when the amount is not positive.
    """
    if money.minor <= 0:
        raise errors.Invalid("a sale has a positive amount", fields={"amount": "more than nothing"})
    row = await _lock(tx, lead_id)
    await _move(tx, row, Status.won, reason=None, note=None, now=now)
    sale = {"amount_minor": money.minor, "currency": money.currency, "exponent": money.exponent}
    await timeline.record(tx, row["contact_id"], "lead.sold", at=now, lead_id=lead_id, detail=sale)
    await events.record(tx, "lead", lead_id, "lead.sold", sale, at=now)
    await audit.of_person(tx, "lead.sale", "lead", lead_id, sale, at=now)


@operation("activity.create")
async def record_activity(
    tx: Tx,
    lead_id: UUID,
    channel: Channel,
    direction: Direction | None,
    outcome: str | None,
    *,
    note: str | None = None,
    is_human: bool | None = None,
    occurred_at: datetime | None = None,
    now: datetime,
) -> UUID:
    """Record a call, a message, a meeting or a note of a lead and return the activity's id.

    `is_human` tells whether a person of ours did it (default: whether the actor is one); the first outbound call or
    message by a person is the lead's first attempt. `occurred_at` (UTC) defaults to now.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises errors.Invalid: when it lies in the future, or a call or message has no direction.
    """
    happened, human = occurred_at or now, tx.actor.user_id is not None if is_human is None else is_human
    kind = rules.KIND[channel]
    if happened > now:
        raise errors.Invalid("what is recorded has happened", fields={"occurred_at": "lies in the future"})
    if kind in rules.DIRECTED and direction is None:
        raise errors.Invalid(f"a {kind} has a direction", fields={"direction": "inbound or outbound"})
    if outcome is not None:
        _require_code("outcome", outcome)
    row = await _lock(tx, lead_id)
    is_attempt = human and direction is Direction.outbound and kind in rules.DIRECTED
    await tx.execute(
        "update crm.lead set updated_at = $3::timestamptz, first_attempt_at = least(first_attempt_at, $4::timestamptz)"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, lead_id, now, happened if is_attempt else row["first_attempt_at"],
    )  # fmt: skip
    activity_id = await timeline.record(
        tx, row["contact_id"], kind, at=happened, lead_id=lead_id, channel=channel.value,
        direction=direction and direction.value, outcome=outcome, detail={"is_human": human}, note=note,
    )  # fmt: skip
    payload = {
        "contact_id": row["contact_id"], "activity_id": activity_id, "channel": channel.value,
        "direction": direction and direction.value, "outcome": outcome, "is_human": human, "kind": kind,
    }  # fmt: skip
    await events.record(tx, "lead", lead_id, "activity.recorded", payload, at=happened)
    await audit.of_person(tx, "activity.create", "lead", lead_id, {"activity_id": activity_id, "kind": kind}, at=now)
    return activity_id


LOCK_TO_ASSIGN = """
select l.id, l.contact_id, l.status, l.cycle_no, l.owner_id, l.team_id as earlier_team_id,
       i.user_id, coalesce(i.team_id, u.team_id) as team_id, i.reason, i.decision_id,
       (i.user_id is null or u.is_active is true) and (i.team_id is null or t.id is not null) as is_known
  from unnest({ids}, {users}, {teams}, {reasons}, {decisions}) as i(lead_id, user_id, team_id, reason, decision_id)
  join crm.lead l on l.tenant_id = {tenant} and l.id = i.lead_id
  left join crm.user_account u on u.tenant_id = l.tenant_id and u.id = i.user_id
  left join crm.team t on t.tenant_id = l.tenant_id and t.id = i.team_id
 where {visible}
 order by l.id
   for update of l
"""

CLOSE = """
update crm.lead_assignment set ended_at = greatest(started_at, $3::timestamptz)
 where tenant_id = $1::uuid and lead_id = any($2::uuid[]) and ended_at is null
"""

GIVE = """
with given as (
  select * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[])
    as g(lead_id, assignment_id, user_id, team_id, reason, decision_id)
), opened as (
  insert into crm.lead_assignment (tenant_id, id, lead_id, user_id, team_id, reason, decision_id, assigned_by,
                                   started_at)
  select $1::uuid, assignment_id, lead_id, user_id, team_id, reason, decision_id, $9::uuid, $8::timestamptz from given
)
update crm.lead l
   set owner_id = given.user_id, team_id = given.team_id, assigned_at = $8::timestamptz, updated_at = $8::timestamptz,
       status = case when l.status = 'new' then 'assigned' else l.status end,
       status_changed_at = case when l.status = 'new' then $8::timestamptz else l.status_changed_at end
  from given
 where l.tenant_id = $1::uuid and l.id = given.lead_id
"""


@operation("lead.reassign")
async def assign_many(
    tx: Tx, assignments: Iterable[Assignment], *, only_waiting: bool = False, now: datetime
) -> list[UUID]:
    """Give leads to people and teams in a few statements, however many; return the leads that changed hands.

    Leads that are not there, not visible, or in the wanted hands already are passed over; with `only_waiting` those
    somebody owns, too. A new lead becomes `assigned`. Without a team the person's own is taken.

    :raises UnknownAssignee: when a person or team does not exist or is no longer active.
    """
    rows = [
        row
        for row in await _lock_to_assign(tx, {each.lead_id: each for each in assignments}.values())
        if (row["user_id"], row["team_id"]) != (row["owner_id"], row["earlier_team_id"])
        and not (only_waiting and row["owner_id"])
    ]
    if not rows:
        tx.unchanged()
        return []
    if not all(row["is_known"] for row in rows):
        raise UnknownAssignee(fields={"user_id": "not an active person here, or not a team"})
    fixed = [[row[name] for row in rows] for name in ("user_id", "team_id", "reason", "decision_id")]
    given = [row["id"] for row in rows]
    await tx.execute(CLOSE, tx.actor.tenant_id, given, now)
    await tx.execute(
        GIVE, tx.actor.tenant_id, given, [ids.new() for _ in rows], *fixed, now, tx.actor.user_id
    )  # fmt: skip
    await _record_assignments(tx, rows, now=now)
    return given


async def _lock_to_assign(tx: Tx, wanted: Iterable[Assignment]) -> Sequence[asyncpg.Record]:
    """Return the visible leads among those wanted, locked in the order of their ids, with whom they shall go to."""
    each, args = list(wanted), Args()
    for one in each:
        _require_code("reason", one.reason)
        if one.user_id is None and one.team_id is None:
            raise UnknownAssignee("name a person, a team or both", fields={"user_id": "a person or a team"})
    places = {
        "ids": args.add([one.lead_id for one in each], "uuid[]"),
        "users": args.add([one.user_id for one in each], "uuid[]"),
        "teams": args.add([one.team_id for one in each], "uuid[]"),
        "reasons": args.add([one.reason for one in each], "text[]"),
        "decisions": args.add([one.decision_id for one in each], "uuid[]"),
        "tenant": args.add(tx.actor.tenant_id, "uuid"),
        "visible": visibility.condition(tx.actor, args),
    }
    return await tx.fetch(LOCK_TO_ASSIGN.format(**places), *args)


async def _record_assignments(tx: Tx, rows: Sequence[asyncpg.Record], *, now: datetime) -> None:
    """Write timeline, events and audit rows of leads that changed hands."""
    happened: list[tuple[UUID, UUID, str, dict[str, Any]]] = []
    for row in rows:
        given = {
            "user_id": row["user_id"], "team_id": row["team_id"], "reason": row["reason"],
            "decision_id": row["decision_id"], "previous_user_id": row["owner_id"],
        }  # fmt: skip
        happened.append((row["id"], row["contact_id"], "lead.assigned", given))
        if row["status"] == Status.new:
            moved = {"from": "new", "to": "assigned", "reason": row["reason"], "cycle_no": row["cycle_no"]}
            happened.append((row["id"], row["contact_id"], "lead.status_changed", moved))
    await timeline.record_many(tx, happened, at=now)
    await events.record_many(tx, [("lead", lead, kind, detail) for lead, _, kind, detail in happened], at=now)
    for row in rows if tx.actor.user_id else ():
        await audit.of_person(
            tx, "lead.assign", "lead", row["id"], {"user_id": row["user_id"], "team_id": row["team_id"]}, at=now
        )


@operation("lead.reassign")
async def assign(
    tx: Tx,
    lead_id: UUID,
    user_id: UUID | None,
    *,
    team_id: UUID | None = None,
    reason: str,
    decision_id: UUID | None = None,
    now: datetime,
) -> None:
    """Give one lead to a person, a team or both; see `assign_many`. The hands it is in already change nothing.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises UnknownAssignee: when the person or team does not exist or is no longer active.
    """
    await _lock(tx, lead_id)
    if not await assign_many(tx, [Assignment(lead_id, user_id, reason, team_id, decision_id)], now=now):
        tx.unchanged()
