"""What distribution recorded, read back for replay: runs in their order, ends of hands, changes between runs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import errors
from crm.db import Tx
from crm.routing import cascade, facts, sets
from crm.routing.cascade import Compiled
from crm.routing.replay import Change, Kept, Recorded, Replay

AT_ONCE = 200
"""Runs read at once."""
LONGEST_DAYS = 92
"""The longest window of a replay, in days."""
LIVE = "live"
"""Names the rules of the day, where a rule set is asked for."""


class BadWindow(errors.Invalid):
    """A window begins before it ends, and is at most a quarter long."""

    code = "routing.window_invalid"


BEGIN = """
select coalesce((select max(no) from crm.routing_run
                  where tenant_id = $1::uuid and has_pools and decided_at <= $2::timestamptz),
                (select min(no) from crm.routing_run where tenant_id = $1::uuid and has_pools), 1)
"""

RUNS = """
select r.no, r.decided_at, r.rule_set_id, r.facts, r.roster, o.body,
       (select jsonb_object_agg(d.lead_id, jsonb_build_array(d.user_id, d.rule, d.reasons))
          from crm.routing_decision d where d.tenant_id = $1::uuid and d.run_no = r.no) as decided
  from crm.routing_run r
  join crm.routing_roster o on o.tenant_id = r.tenant_id and o.digest = r.roster
 where r.tenant_id = $1::uuid and r.no >= $2::bigint and r.no <= $3::bigint order by r.no limit $4::int
"""

LAST = "select max(no) from crm.routing_run where tenant_id = $1::uuid and decided_at < $2::timestamptz"
"""The last run of a window. Routers' clocks differ: runs are taken by their order, so that no turn is left out."""

ENDS = """
select a.lead_id, a.started_at,
       least(a.ended_at, (select min(e.occurred_at) from crm.event_log e
                           where e.tenant_id = $1::uuid and e.aggregate_type = 'lead' and e.aggregate_id = a.lead_id
                             and e.event_type = 'lead.status_changed' and e.payload_json ->> 'to' in ('won', 'lost')
                             and e.occurred_at >= a.started_at)) as ended_at
  from crm.lead_assignment a
 where a.tenant_id = $1::uuid and a.decision_id is not null and a.user_id is not null
   and a.started_at >= (select decided_at from crm.routing_run where tenant_id = $1::uuid and no = $2::bigint)
   and a.started_at < $3::timestamptz
"""

CHANGES = """
select occurred_at, event_type, aggregate_id, payload_json from crm.event_log
 where tenant_id = $1::uuid and event_type in ('agent.availability_changed', 'routing.member_changed')
   and occurred_at >= $2::timestamptz and occurred_at < $3::timestamptz order by occurred_at, id
"""


WITHDRAWN = """
select d.lead_id, g.at
  from (select distinct lead_id from crm.routing_decision
         where tenant_id = $1::uuid and user_id is null and run_no >= $2::bigint and decided_at < $3::timestamptz) d
  cross join lateral (
    select a.started_at as at from crm.lead_assignment a
     where a.tenant_id = $1::uuid and a.lead_id = d.lead_id and a.user_id is not null and a.decision_id is null
    union all
    select e.occurred_at from crm.event_log e
     where e.tenant_id = $1::uuid and e.aggregate_type = 'lead' and e.aggregate_id = d.lead_id
       and e.event_type = 'lead.status_changed' and e.payload_json ->> 'to' in ('won', 'lost')) g
"""


async def find(tx: Tx, wanted: str) -> UUID | None:
    """Return the id of a rule set named by its id, its version or its name; None for `live`.

    :raises crm.routing.sets.UnknownRuleSet: when there is none.
    """
    if wanted == LIVE:
        return None
    found: UUID | None = await tx.fetchval(
        "select id from crm.routing_rule_set where tenant_id = $1::uuid"
        " and $2::text in (id::text, version::text, name) order by updated_at desc, id limit 1",
        tx.actor.tenant_id, wanted,
    )  # fmt: skip
    if found is None:
        raise sets.UnknownRuleSet
    return found


async def replay(tx: Tx, rule_set_id: UUID | None, *, since: datetime, until: datetime) -> dict[str, Any]:
    """Replay a window (UTC, `until` excluded) by a rule set, or by the rules of the day (None); see `outcome.outcome`.

    :raises BadWindow: when the window is none, or too long.
    :raises crm.routing.sets.UnknownRuleSet: when there is no such rule set.
    """
    if not since < until:
        raise BadWindow(fields={"until": "lies after the beginning"})
    if (until - since).days > LONGEST_DAYS:
        raise BadWindow(fields={"until": f"at most {LONGEST_DAYS} days after the beginning"})
    draft = await sets.compiled(tx, rule_set_id) if rule_set_id else None
    tenant = tx.actor.tenant_id
    first = await tx.fetchval(BEGIN, tenant, since)
    ends = {
        (row["lead_id"], row["started_at"]): row["ended_at"]
        for row in await tx.fetch(ENDS, tenant, first, until)
        if row["ended_at"] is not None
    }
    changes = [_change(row) for row in await tx.fetch(CHANGES, tenant, since, until)] if draft else []
    withdrawn: dict[UUID, list[datetime]] = {}
    for row in await tx.fetch(WITHDRAWN, tenant, first, until) if draft else ():
        withdrawn.setdefault(row["lead_id"], []).append(row["at"])
    by_id: dict[UUID | None, Compiled] = {None: cascade.NOTHING}
    whole = Replay(by_id, draft, since=since, until=until, ends=ends, changes=changes, withdrawn=withdrawn)
    async for run in _runs(tx, first, await tx.fetchval(LAST, tenant, until) or 0):
        if run.rule_set_id not in by_id:
            by_id[run.rule_set_id] = await sets.compiled(tx, run.rule_set_id)
        whole.take(run)
        await asyncio.sleep(0)  # others of this process have their turn between runs
    whole.finish()
    return whole.result()


async def _runs(tx: Tx, first: int, last: int) -> AsyncIterator[Recorded]:
    no = first
    while rows := await tx.fetch(RUNS, tx.actor.tenant_id, no, last, AT_ONCE):
        for row in rows:
            yield _recorded(row)
        no = rows[-1]["no"] + 1


def _recorded(row: Any) -> Recorded:
    known, leads, pools = facts.unpack(row["body"], row["facts"])
    decided = {
        UUID(lead): Kept(UUID(user) if user else None, rule, reasons)
        for lead, (user, rule, reasons) in row["decided"].items()
    }
    return Recorded(row["no"], row["decided_at"], row["rule_set_id"], known, leads, decided, pools)


def _change(row: Any) -> Change:
    told = row["payload_json"]
    if row["event_type"] == "agent.availability_changed":
        return Change(row["occurred_at"], row["aggregate_id"], told["accepting"])
    return Change(
        row["occurred_at"], UUID(told["user_id"]), told["accepting"], row["aggregate_id"], told["weight"],
        told["capacity"],
    )  # fmt: skip
