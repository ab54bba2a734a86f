"""Clocks as they are kept: worked out from the log, stored for whoever asks, and told of, each thing exactly once.

What is stored follows from the log at any time (`settle`), so a worker that died, slept or read late leaves nothing
behind that the next look does not put right. What has been told stands in the log itself.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import events
from crm.calendars import queries as calendars
from crm.calendars.rules import Calendar
from crm.db import Tx, to_json
from crm.events.log import Event
from crm.events.reader import COLUMNS, as_event
from crm.sla.clock import BREACH, Clock
from crm.sla.fold import READS, Lead, fold
from crm.sla.rules import BUILT_IN, RULES, Recipient, RuleSet

TOLD = {"sla.reminder_due", "sla.breached", "sla.escalated"}
WITHDRAWN = "sla.breach_withdrawn"

LOCK = """
select pg_advisory_xact_lock(hashtextextended(lead_id::text, 11)) from unnest($1::uuid[]) as l(lead_id)
"""

EVENTS = f"""
select e.* from unnest($2::uuid[]) as w(lead_id) cross join lateral (
  select {COLUMNS} from crm.event_log
   where tenant_id = $1::uuid and aggregate_type = 'lead' and aggregate_id = w.lead_id and event_type = any($3::text[])
) e
"""

BEGUN = """
select created_at from crm.sla_rule_set where tenant_id = $1::uuid and version = 1 and published_by is null
"""
"""When a firm's clocks were first looked after: what had come before, as in history brought here, is not told."""

LEADS = """
select l.id, l.team_id from unnest($2::uuid[]) as w(lead_id)
  join crm.lead l on l.tenant_id = $1::uuid and l.id = w.lead_id
"""

KEPT: dict[str, str] = {
    "id": "uuid", "lead_id": "uuid", "cycle_no": "int", "kind": "text", "rule_version": "int", "rule_code": "text",
    "state": "text", "team_id": "uuid", "check_in_id": "uuid", "status": "text", "time_basis": "text",
    "target_s": "int", "started_at": "timestamptz", "consumed_s": "float8", "counted_until": "timestamptz",
    "due_at": "timestamptz", "breached_at": "timestamptz", "ended_at": "timestamptz", "end_reason": "text",
    "late_by_s": "float8", "pauses": "jsonb", "next_at": "timestamptz",
}  # fmt: skip
"""The columns of a clock as it is kept, with their types."""

_MAY_DIFFER = [name for name in KEPT if name not in ("id", "counted_until", "consumed_s")]
STATED = [name for name in _MAY_DIFFER if name != "next_at"]
"""What the log is told of a clock whenever any of it has changed."""
KEEP = f"""
with before as materialized (
  select b.* from unnest($2::uuid[]) as w(id) cross join lateral (
    select id, {", ".join(STATED)} from crm.sla_clock where tenant_id = $1::uuid and id = w.id) b
), kept as (
insert into crm.sla_clock as c (tenant_id, {", ".join(KEPT)})
select $1::uuid, * from unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(KEPT.values(), start=2))})
on conflict (tenant_id, id) do update set {", ".join(f"{name} = excluded.{name}" for name in KEPT if name != "id")}
 where ({", ".join(f"c.{name}" for name in _MAY_DIFFER)})
       is distinct from ({", ".join(f"excluded.{name}" for name in _MAY_DIFFER)})
returning c.id, {", ".join(f"c.{name}" for name in STATED)}
)
select kept.* from kept left join before on before.id = kept.id
 where before.id is null
    or ({", ".join(f"before.{name}" for name in STATED)})
       is distinct from ({", ".join(f"kept.{name}" for name in STATED)})
"""
"""A clock that merely went on running is not written again; returned are those about which there is something new."""

FORGET = """
delete from crm.sla_clock c using unnest($2::uuid[]) as w(lead_id)
 where c.tenant_id = $1::uuid and c.lead_id = w.lead_id and not (c.id = any($3::uuid[]))
returning c.id, c.lead_id
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing about a clock that is to be told, as an event of its lead."""

    at: datetime
    lead: Lead
    event_type: str
    payload: dict[str, Any]


async def rule_sets(tx: Tx) -> list[RuleSet]:
    """Return every rule set of the firm in the order of their beginning, the built-in one first."""
    rows = await tx.fetch(
        "select version, valid_from, rules from crm.sla_rule_set where tenant_id = $1::uuid"
        " order by valid_from, version", tx.actor.tenant_id,
    )  # fmt: skip
    return [
        BUILT_IN,
        *(RuleSet(row["version"], row["valid_from"], RULES.validate_python(row["rules"])) for row in rows),
    ]


async def settle(tx: Tx, leads: Collection[UUID], *, now: datetime) -> list[Lead]:
    """Work out the clocks of leads from the log, keep them as they stand at an instant, and tell what has come.

    One who settles the same leads at the same time waits; leads of which nothing is known are passed over.
    """
    ordered = sorted(set(leads))
    await tx.fetch(LOCK, ordered)
    happened = await happened_to(tx, ordered)
    folded = await work_out(tx, happened, await rule_sets(tx), ordered, now=now)
    await _keep(tx, ordered, folded, now=now)
    since = await tx.fetchval(BEGUN, tx.actor.tenant_id)
    told = [each for lead in folded for each in _to_tell(lead, happened.get(lead.id, []))]
    await _tell(tx, [each for each in told if since is None or each.at >= since])
    return folded


async def work_out(
    tx: Tx, happened: Mapping[UUID, Sequence[Event]], sets: Sequence[RuleSet], leads: Sequence[UUID], *, now: datetime
) -> list[Lead]:
    """Return leads with their clocks as they stand at an instant, under some rule sets."""
    first_team = {
        row["id"]: _first_team(row, happened.get(row["id"], []))
        for row in await tx.fetch(LEADS, tx.actor.tenant_id, leads)
    }
    calendar_of = await _calendars(tx, happened, first_team.values(), now)
    return [
        fold(lead_id, happened.get(lead_id, []), first_team=team, sets=sets, calendar_of=calendar_of, now=now)
        for lead_id, team in first_team.items()
    ]


def _first_team(row: asyncpg.Record, happened: Sequence[Event]) -> UUID | None:
    """Return the team a lead came for: what its first assignment says it had before, or what it has, never given."""
    given = min((e for e in happened if e.event_type == "lead.assigned"), key=lambda e: e.id, default=None)
    if given is None:
        team: UUID | None = row["team_id"]
        return team
    before = given.payload.get("previous_team_id")
    return UUID(before) if before else None


async def _calendars(
    tx: Tx, happened: Mapping[UUID, Sequence[Event]], first: Iterable[UUID | None], now: datetime
) -> Callable[[UUID | None], Calendar]:
    """Return the calendars of every team these leads ever had."""
    given = (e.payload.get("team_id") for each in happened.values() for e in each if e.event_type == "lead.assigned")
    teams = {None, *first, *(UUID(team) for team in given if team)}
    known = {team: await calendars.of_team(tx, team, now) for team in teams}
    return known.__getitem__


async def happened_to(tx: Tx, leads: Sequence[UUID]) -> dict[UUID, list[Event]]:
    """Return what happened to leads and what has been told of them."""
    found: dict[UUID, list[Event]] = {}
    for row in await tx.fetch(EVENTS, tx.actor.tenant_id, leads, sorted({*READS, *TOLD, WITHDRAWN})):
        found.setdefault(row["aggregate_id"], []).append(as_event(row))
    return found


def as_row(lead: Lead, clock: Clock) -> tuple[Any, ...]:
    """Return a clock as it is kept: the values of `KEPT`."""
    late = None
    if clock.breached_at and clock.ended_at:
        late = (clock.ended_at - clock.breached_at).total_seconds()
    return (
        clock.id, lead.id, clock.cycle_no, clock.kind.value, clock.version, clock.rule and clock.rule.code,
        clock.state.value, clock.team_id, clock.check_in_id, clock.status,
        clock.rule.time if clock.rule else "calendar", clock.rule.target_s if clock.rule else 0, clock.started_at,
        clock.counted.total_seconds(), clock.since, clock.due_at, clock.breached_at, clock.ended_at, clock.end_reason,
        late, to_json(clock.pauses), clock.next_at,
    )  # fmt: skip


async def _keep(tx: Tx, settled: Sequence[UUID], leads: Sequence[Lead], *, now: datetime) -> None:
    """Store the clocks of those settled; what no longer follows from the log goes. The log is told how each stands."""
    rows = [as_row(lead, clock) for lead in leads for clock in lead.clocks]
    gone = await tx.fetch(FORGET, tx.actor.tenant_id, settled, [row[0] for row in rows])
    changed = await tx.fetch(KEEP, tx.actor.tenant_id, *zip(*rows, strict=True)) if rows else []
    stated = [("sla_clock", row["id"], "sla_clock.stated", {name: row[name] for name in STATED}) for row in changed]
    withdrawn = [("sla_clock", row["id"], "sla_clock.withdrawn", {"lead_id": row["lead_id"]}) for row in gone]
    await events.record_many(tx, [*stated, *withdrawn], at=now)


def _to_tell(lead: Lead, happened: Sequence[Event]) -> list[Told]:
    """Return what has come and was not told yet, in the order in which it came."""
    told = _told(happened)
    new = [
        Told(at, lead, *_words(clock, step))
        for clock in lead.clocks
        for step, at in clock.fired.items()
        if (clock.id, step) not in told
    ]
    breached = {clock.id for clock in lead.clocks if BREACH in clock.fired}
    for clock_id, step in told:
        if step == BREACH and clock_id not in breached:
            new.append(Told(told[clock_id, step], lead, WITHDRAWN, {"clock_id": clock_id}))
    return sorted(new, key=lambda each: each.at)


def _told(happened: Sequence[Event]) -> dict[tuple[UUID, str], datetime]:
    """Return what was told of each clock and not withdrawn, with its instant."""
    told: dict[tuple[UUID, str], datetime] = {}
    for event in sorted(happened, key=lambda each: each.id):
        if event.event_type in TOLD:
            told[UUID(event.payload["clock_id"]), event.payload["step"]] = event.occurred_at
        elif event.event_type == WITHDRAWN:
            told.pop((UUID(event.payload["clock_id"]), BREACH), None)
    return told


def _words(clock: Clock, step: str) -> tuple[str, dict[str, Any]]:
    """Return the event's type and payload for a step of a clock."""
    about = {
        "clock_id": clock.id, "kind": clock.kind.value, "step": step, "cycle_no": clock.cycle_no,
        "due_at": clock.breached_at or clock.due_at, "rule": clock.rule and clock.rule.code,
    }  # fmt: skip
    what, _, detail = step.partition(":")
    if what == "reminder":
        return "sla.reminder_due", {**about, "after_due_s": int(detail), "to": Recipient.owner.value}
    if what == "escalation":
        return "sla.escalated", {**about, "to": detail}
    return "sla.breached", {**about, "to": Recipient.owner.value}


async def _tell(tx: Tx, told: Sequence[Told]) -> None:
    """Write the events, each at the instant at which it came, with the people it is for."""
    if not told:
        return
    people = await _people(tx)
    written = []
    for each in told:
        payload = each.payload
        if "to" in payload:
            payload = {**payload, **_addressed(each.lead, Recipient(payload["to"]), people)}
        written.append(("lead", each.lead.id, each.event_type, payload, each.at))
    await events.record_dated(tx, written)


async def _people(tx: Tx) -> list[asyncpg.Record]:
    return await tx.fetch(
        "select u.id, u.roles, u.team_id,"
        " array(select t.id from crm.team t where t.tenant_id = u.tenant_id and t.lead_user_id = u.id) as leads"
        " from crm.user_account u where u.tenant_id = $1::uuid and u.is_active order by u.id",
        tx.actor.tenant_id,
    )  # fmt: skip


def _addressed(lead: Lead, to: Recipient, people: Sequence[asyncpg.Record]) -> dict[str, Any]:
    """Return whom a step is for; a level at which there is nobody passes it on to the next one.

    A team is led by the person named for it, else by its sales managers; the firm's managers are its administrators.
    """
    team_id = lead.facts.team_id
    team = [row for row in people if row["team_id"] == team_id is not None]
    levels: dict[Recipient, list[UUID]] = {
        Recipient.owner: [row["id"] for row in people if row["id"] == lead.owner_id],
        Recipient.team_lead: [row["id"] for row in people if team_id in row["leads"]]
        or [row["id"] for row in team if "sales_manager" in row["roles"]],
        Recipient.manager: [row["id"] for row in people if "admin" in row["roles"]],
    }
    order = list(Recipient)
    reached = next((level for level in order[order.index(to) :] if levels[level]), to)
    return {"to": reached.value, "user_ids": levels[reached], "team_id": team_id}
