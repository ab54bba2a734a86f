"""Rule sets: a draft is changed and simulated, then published, dated; what is published never changes."""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids
from crm.db import Tx, to_json
from crm.operation import operation
from crm.routing import cascade, rulesets
from crm.routing.cascade import NOTHING, Compiled
from crm.routing.rulesets import BadRules, RuleSet


class UnknownRuleSet(errors.NotFound):
    """There is no such rule set."""

    code = "routing.rule_set_not_found"


class Published(errors.Conflict):
    """This rule set is published: it is never changed. Make a new draft of it."""

    code = "routing.rule_set_published"


class BadDate(errors.Invalid):
    """Rules hold from now on or later, never earlier."""

    code = "routing.rule_set_date"


COLUMNS = "id, version, name, definition, created_by, created_at, updated_at, valid_from, published_at, published_by"


async def listed(tx: Tx) -> list[asyncpg.Record]:
    """Return every rule set, drafts first, then the latest version first."""
    return await tx.fetch(
        f"select {COLUMNS} from crm.routing_rule_set where tenant_id = $1::uuid"
        " order by version desc nulls first, updated_at desc, id limit 500",
        tx.actor.tenant_id,
    )


async def get(tx: Tx, rule_set_id: UUID) -> asyncpg.Record:
    """Return one rule set.

    :raises UnknownRuleSet: when there is none.
    """
    row = await tx.fetchrow(
        f"select {COLUMNS} from crm.routing_rule_set where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, rule_set_id,
    )  # fmt: skip
    if row is None:
        raise UnknownRuleSet
    return row


async def live(tx: Tx, at: datetime) -> UUID | None:
    """Return the id of the rule set that holds at an instant (UTC), None before the first one."""
    found: UUID | None = await tx.fetchval(
        "select id from crm.routing_rule_set where tenant_id = $1::uuid and valid_from <= $2::timestamptz"
        " order by valid_from desc, version desc limit 1",
        tx.actor.tenant_id, at,
    )  # fmt: skip
    return found


@lru_cache(maxsize=256)
def _compiled(_: UUID, definition: str) -> Compiled:
    return cascade.compile_rules(rulesets.read(json.loads(definition)))


async def compiled(tx: Tx, rule_set_id: UUID | None) -> Compiled:
    """Return a rule set ready for use; none is no rules.

    :raises UnknownRuleSet: when there is none of this id.
    """
    if rule_set_id is None:
        return NOTHING
    definition = await tx.fetchval(
        "select definition::text from crm.routing_rule_set where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, rule_set_id,
    )  # fmt: skip
    if definition is None:
        raise UnknownRuleSet
    return _compiled(rule_set_id, definition)


async def _checked(tx: Tx, definition: Any) -> RuleSet:
    """Return a definition whose people and teams are there.

    :raises BadRules: with the place of each mistake.
    """
    rules = rulesets.read(definition)
    people, teams = rulesets.people_and_teams(rules)
    bad = dict.fromkeys(await _missing(tx, "user_account", people), "there is no such active person")
    bad |= dict.fromkeys(await _missing(tx, "team", teams), "there is no such team")
    if bad:
        raise BadRules("these rules name who is not here", fields=bad)
    return rules


async def _missing(tx: Tx, table: str, wanted: dict[UUID, str]) -> Iterable[str]:
    only = " and is_active" if table == "user_account" else ""
    rows = await tx.fetch(
        f"select i.id from unnest($2::uuid[]) as i(id) where not exists"
        f" (select from crm.{table} t where t.tenant_id = $1::uuid and t.id = i.id{only})",
        tx.actor.tenant_id, list(wanted),
    )  # fmt: skip
    return [wanted[row["id"]] for row in rows]


@operation("routing.manage")
async def draft(tx: Tx, *, name: str, definition: Any, now: datetime) -> UUID:
    """Store a new draft; return its id.

    :raises BadRules: when the definition is not one, or names people or teams that are not here.
    """
    rules, rule_set_id = await _checked(tx, definition), ids.new()
    await tx.execute(
        "insert into crm.routing_rule_set (tenant_id, id, name, definition, created_by, created_at, updated_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::jsonb, $5::uuid, $6::timestamptz, $6::timestamptz)",
        tx.actor.tenant_id, rule_set_id, name, _stored(rules), tx.actor.user_id, now,
    )  # fmt: skip
    await _note(tx, rule_set_id, "drafted", {"rules": len(rules.rules)}, now)
    return rule_set_id


@operation("routing.manage")
async def change(tx: Tx, rule_set_id: UUID, *, name: str, definition: Any, now: datetime) -> None:
    """Replace a draft.

    :raises UnknownRuleSet: when there is none.
    :raises Published: when it is published already.
    :raises BadRules: when the definition is not one, or names people or teams that are not here.
    """
    row = await _lock(tx, rule_set_id)
    rules = await _checked(tx, definition)
    if row["name"] == name and rulesets.read(row["definition"]) == rules:
        tx.unchanged()
        return
    await tx.execute(
        "update crm.routing_rule_set set name = $3::text, definition = $4::jsonb, updated_at = $5::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, rule_set_id, name, _stored(rules), now,
    )  # fmt: skip
    await _note(tx, rule_set_id, "changed", {"rules": len(rules.rules)}, now)


@operation("routing.manage")
async def publish(tx: Tx, rule_set_id: UUID, *, valid_from: datetime | None = None, now: datetime) -> int:
    """Let a draft hold from an instant on (UTC; default: now) and return its version. It never changes again.

    Publishing it again changes nothing.

    :raises UnknownRuleSet: when there is none.
    :raises BadDate: when it shall hold in the past.
    :raises BadRules: when it names people or teams that are no longer here.
    """
    begins = valid_from or now
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1::text, 13))", f"rules {tx.actor.tenant_id}")
    row = await get(tx, rule_set_id)
    if row["version"] is not None:
        tx.unchanged()
        return int(row["version"])
    if begins < now:
        raise BadDate(fields={"valid_from": "lies in the past"})
    await _checked(tx, row["definition"])
    version: int = await tx.fetchval(
        "update crm.routing_rule_set set published_at = $3::timestamptz, published_by = $4::uuid,"
        " valid_from = $5::timestamptz, updated_at = $3::timestamptz,"
        " version = (select coalesce(max(version), 0) + 1 from crm.routing_rule_set where tenant_id = $1::uuid)"
        " where tenant_id = $1::uuid and id = $2::uuid returning version",
        tx.actor.tenant_id, rule_set_id, now, tx.actor.user_id, begins,
    )  # fmt: skip
    await _note(tx, rule_set_id, "published", {"version": version, "valid_from": begins}, now)
    return version


async def _lock(tx: Tx, rule_set_id: UUID) -> asyncpg.Record:
    row = await tx.fetchrow(
        f"select {COLUMNS} from crm.routing_rule_set where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, rule_set_id,
    )  # fmt: skip
    if row is None:
        raise UnknownRuleSet
    if row["published_at"] is not None:
        raise Published
    return row


def _stored(rules: RuleSet) -> str:
    return to_json(rules.model_dump(mode="json", exclude_defaults=False, exclude_none=True))


async def _note(tx: Tx, rule_set_id: UUID, what: str, detail: dict[str, Any], now: datetime) -> None:
    await events.record(tx, "routing_rule_set", rule_set_id, f"routing.rules_{what}", detail, at=now)
    await audit.of_person(tx, f"routing.rules_{what}", "routing_rule_set", rule_set_id, detail, at=now)
