"""What people change about service levels: the rules, and how much a lead matters."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from crm import audit, errors, events, ids, visibility
from crm.db import Tx, to_json
from crm.leads.rows import LeadNotFound
from crm.operation import operation
from crm.sla import clocks
from crm.sla.rules import DEFAULTS, RULES, Priority, Rule, in_force
from crm.sql import Args


class BadRules(errors.Invalid):
    """These rules cannot be published."""

    code = "sla.rules_invalid"


@operation("sla.manage")
async def publish(tx: Tx, rules: Sequence[Rule], *, valid_from: datetime | None = None, now: datetime) -> int:
    """Let rules hold from an instant on (default: now, never earlier) and return their version.

    Clocks that began before keep the rules under which they began. The rules that hold then anyway change nothing.

    :raises BadRules: when there are none, two have one code, one names an unknown team, or they are to hold in the
        past.
    """
    begins = valid_from or now
    await _require_sound(tx, rules, begins=begins, now=now)
    known = await clocks.rule_sets(tx)
    there = in_force(known, begins)
    if there.rules == tuple(rules):
        tx.unchanged()
        return there.version
    version = max(each.version for each in known) + 1
    await _store(tx, rules, version, begins, now=now)
    return version


async def _require_sound(tx: Tx, rules: Sequence[Rule], *, begins: datetime, now: datetime) -> None:
    if begins < now:
        raise BadRules(fields={"valid_from": "now or later: what was promised in the past stays as it was"})
    if not rules:
        raise BadRules(fields={"rules": "at least one"})
    twice = sorted(code for code, times in Counter(rule.code for rule in rules).items() if times > 1)
    if twice:
        raise BadRules("Each rule has a code of its own.", fields={"rules": f"used twice: {', '.join(twice)}"})
    rows = await tx.fetch("select id from crm.team where tenant_id = $1::uuid", tx.actor.tenant_id)
    teams = {row["id"] for row in rows}
    unknown = {f"rules.{n}.teams": f"no team has the id {team}"
               for n, rule in enumerate(rules) for team in rule.teams if team not in teams}  # fmt: skip
    if unknown:
        raise BadRules(fields=unknown)


@operation("sla.begin")
async def begin(tx: Tx, *, since: datetime, now: datetime) -> None:
    """Give a firm that has none its first rules, the defaults as they are now, from its own beginning on."""
    if len(await clocks.rule_sets(tx)) > 1:
        tx.unchanged()
        return
    await _store(tx, DEFAULTS, 1, since, now=now)


async def _store(tx: Tx, rules: Sequence[Rule], version: int, begins: datetime, *, now: datetime) -> None:
    set_id, told = ids.new(), {"version": version, "valid_from": begins}
    await tx.execute(
        "insert into crm.sla_rule_set (tenant_id, id, version, valid_from, rules, published_by, created_at)"
        " values ($1::uuid, $2::uuid, $3::int, $4::timestamptz, $5::jsonb, $6::uuid, $7::timestamptz)",
        tx.actor.tenant_id, set_id, version, begins, to_json(RULES.dump_python(tuple(rules), mode="json")),
        tx.actor.user_id, now,
    )  # fmt: skip
    await events.record(tx, "sla", set_id, "sla.rules_published", told, at=now)
    await audit.of_person(tx, "sla.publish", "sla_rule_set", set_id, told, at=now)


@operation("lead.edit")
async def set_priority(tx: Tx, lead_id: UUID, priority: Priority, *, now: datetime) -> None:
    """Say how much a lead matters; its open clocks come under the rule for it.

    :raises LeadNotFound: when there is no such lead for the actor.
    """
    args = Args()
    found = await tx.fetchval(
        f"select 1 from crm.lead l where l.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}"
        f" and l.id = {args.add(lead_id, 'uuid')} and {visibility.condition(tx.actor, args)} for update",
        *args,
    )
    if not found:
        raise LeadNotFound
    latest = await tx.fetchval(
        "select payload_json ->> 'priority' from crm.event_log where tenant_id = $1::uuid and aggregate_type = 'lead'"
        " and aggregate_id = $2::uuid and event_type = 'lead.priority_changed' order by id desc limit 1",
        tx.actor.tenant_id, lead_id,
    )  # fmt: skip
    if (latest or Priority.normal.value) == priority.value:
        tx.unchanged()
        return
    await events.record(tx, "lead", lead_id, "lead.priority_changed", {"priority": priority.value}, at=now)
    await audit.of_person(tx, "lead.priority", "lead", lead_id, {"priority": priority.value}, at=now)
