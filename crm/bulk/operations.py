"""Asking for a change to many leads (LEAD-7), and taking it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import audit, errors, events, filtering, ids, jobs
from crm.db import Tx, to_json
from crm.filtering import Clause
from crm.leads import lifecycle, lists, rows
from crm.leads.assigning import UnknownAssignee
from crm.leads.filters import FIELDS
from crm.leads.lifecycle import BadTransition, Needed
from crm.leads.rules import Status
from crm.operation import operation
from crm.sql import Args

MOST = 100_000
"""Leads one run may change."""
CHUNK = 1_000
"""Leads changed in one transaction."""
JOB = "bulk.run"


class TooMany(errors.Invalid):
    """A run changes at most 100,000 leads; narrow the filters."""

    code = "bulk.too_many"


class Nothing(errors.Invalid):
    """No lead matches, so there is nothing to change."""

    code = "bulk.nothing"


class RunNotFound(errors.NotFound):
    """There is no such run, or it is not yours to see."""

    code = "bulk.not_found"


class Ended(errors.Conflict):
    """This run has ended already."""

    code = "bulk.ended"


@dataclass(frozen=True, slots=True)
class ToStatus:
    """Move the leads to a status; `reason` is a code."""

    status: Status
    reason: str | None = None
    action = "status"
    permission = "lead.status"

    def kept(self) -> dict[str, Any]:
        """Return it as JSON-ready codes."""
        return {"status": self.status.value, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ToHands:
    """Give the leads to a person, a team or both."""

    user_id: UUID | None
    team_id: UUID | None
    reason: str = "bulk"
    action = "assign"
    permission = "lead.reassign"

    def kept(self) -> dict[str, Any]:
        """Return it as JSON-ready ids and codes."""
        return {"user_id": self.user_id, "team_id": self.team_id, "reason": self.reason}


Change = ToStatus | ToHands


def change_of(action: str, kept: dict[str, Any]) -> Change:
    """Return the change that `kept` was made from."""
    if action == "status":
        return ToStatus(Status(kept["status"]), kept["reason"])
    user, team = kept["user_id"], kept["team_id"]
    return ToHands(user and UUID(user), team and UUID(team), kept["reason"])


FREEZE = """
insert into crm.bulk_chunk (tenant_id, bulk_id, chunk_no, lead_ids)
select {tenant}, {bulk}, n / {chunk}, array_agg(id order by id)
  from (select l.id, row_number() over (order by l.id) - 1 as n from crm.lead l where {where} limit {most}) l
 group by n / {chunk}
returning cardinality(lead_ids)
"""


@operation("lead.bulk")
async def submit(
    tx: Tx, change: Change, *, lead_ids: Sequence[UUID] | None = None, clauses: Sequence[Clause] = (), now: datetime
) -> UUID:
    """Accept a change to the leads listed, else to those that match the filters now, and return the run's id.

    Which leads it is about is settled here: what changes afterwards moves none in or out. Whether the person may
    change each one, and whether the rules allow it, is asked when its turn comes.

    :raises crm.actor.Forbidden: when the actor may not make this change to a single lead either.
    :raises TooMany: when there are more than `MOST`.
    :raises Nothing: when no lead matches.
    :raises UnknownAssignee: when there is no such active person or team.
    :raises BadTransition, lifecycle.FieldsMissing, lifecycle.UnknownReason: when no lead at all could take the status.
    """
    assert tx.actor.user_id is not None, "a person asks: their sight decides which leads change"
    tx.actor.require(change.permission)
    filtering.require_allowed(clauses, FIELDS, tx.actor)
    await _require_possible(tx, change, now=now)
    bulk_id = ids.new()
    await tx.execute(
        "insert into crm.bulk_run (tenant_id, id, action, wanted, total, requested_by, created_at, updated_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::jsonb, 0, $5::uuid, $6::timestamptz, $6::timestamptz)",
        tx.actor.tenant_id, bulk_id, change.action, to_json(change.kept()), tx.actor.user_id, now,
    )  # fmt: skip
    if lead_ids is None:
        total = await _freeze(tx, bulk_id, clauses, now=now)
    else:
        total = await _keep(tx, bulk_id, sorted(set(lead_ids)))
    if not 0 < total <= MOST:
        raise TooMany if total else Nothing
    await tx.execute(
        "update crm.bulk_run set total = $3::int where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, bulk_id, total,
    )  # fmt: skip
    told = {"action": change.action, "total": total, **change.kept()}
    await events.record(tx, "bulk", bulk_id, "bulk.requested", told, at=now)
    await audit.of_person(tx, "bulk.request", "bulk", bulk_id, told, at=now)
    await jobs.defer(tx, JOB, lock=f"bulk:{tx.actor.tenant_id}", bulk_id=bulk_id)
    return bulk_id


async def _require_possible(tx: Tx, change: Change, *, now: datetime) -> None:
    """Refuse at once what would be refused for every single lead."""
    if change.reason is not None:
        rows.require_code("reason", change.reason)
    if isinstance(change, ToStatus):
        await _require_status(tx, change, now=now)
    elif not await _is_known(tx, change):
        raise UnknownAssignee(fields={"user_id": "not an active person here, or not a team"})


async def _require_status(tx: Tx, change: ToStatus, *, now: datetime) -> None:
    machine = await lifecycle.of(tx, at=now)
    if change.status is lifecycle.BY_ASSIGNMENT or not any(machine.may_become(each, change.status) for each in Status):
        raise BadTransition(f"no lead becomes {change.status} this way", fields={"status": "not reached by a change"})
    one_for_all = machine.required[change.status] & {Needed.reason, Needed.note}
    given = {Needed.quote: True, Needed.procedure_type: True, Needed.reason: change.reason}
    if one_for_all:
        lifecycle.require_fields(machine, change.status, given)
    lifecycle.require_known_reason(machine, change.status, change.reason)


async def _is_known(tx: Tx, change: ToHands) -> bool:
    if change.user_id is None and change.team_id is None:
        return False
    known: bool = await tx.fetchval(
        "select ($2::uuid is null or exists (select from crm.user_account where tenant_id = $1::uuid"
        " and id = $2::uuid and is_active)) and ($3::uuid is null or exists (select from crm.team"
        " where tenant_id = $1::uuid and id = $3::uuid))",
        tx.actor.tenant_id, change.user_id, change.team_id,
    )  # fmt: skip
    return known


async def _freeze(tx: Tx, bulk_id: UUID, clauses: Sequence[Clause], *, now: datetime) -> int:
    scene = await lists.scene_of(tx, clauses, now=now)
    args = Args()
    sql = FREEZE.format(
        tenant=args.add(tx.actor.tenant_id, "uuid"), bulk=args.add(bulk_id, "uuid"), chunk=CHUNK, most=MOST + 1,
        where=lists.matching(clauses, scene, args),
    )  # fmt: skip
    await tx.execute("set local plan_cache_mode = force_custom_plan")
    total = sum(int(row[0]) for row in await tx.fetch(sql, *args))
    await tx.execute("set local plan_cache_mode = force_generic_plan")
    return total


async def _keep(tx: Tx, bulk_id: UUID, lead_ids: Sequence[UUID]) -> int:
    if len(lead_ids) <= MOST:
        chunks = (lead_ids[start : start + CHUNK] for start in range(0, len(lead_ids), CHUNK))
        await tx.executemany(
            "insert into crm.bulk_chunk (tenant_id, bulk_id, chunk_no, lead_ids)"
            " values ($1::uuid, $2::uuid, $3::int, $4::uuid[])",
            [(tx.actor.tenant_id, bulk_id, number, list(chunk)) for number, chunk in enumerate(chunks)],
        )
    return len(lead_ids)


@operation("lead.bulk")
async def cancel(tx: Tx, bulk_id: UUID, *, now: datetime) -> None:
    """Stop a run before its next chunk; what is done stays done. A run that was cancelled stays as it is.

    :raises RunNotFound: when there is no such run of the actor's.
    :raises Ended: when it is done.
    """
    row = await tx.fetchrow(
        "select status from crm.bulk_run where tenant_id = $1::uuid and id = $2::uuid"
        " and ($4::bool or requested_by = $3::uuid) for update",
        tx.actor.tenant_id, bulk_id, tx.actor.user_id, tx.actor.may("lead.view.all"),
    )  # fmt: skip
    if row is None:
        raise RunNotFound
    if row["status"] == "done":
        raise Ended
    if row["status"] == "cancelled":
        tx.unchanged()
        return
    await tx.execute(
        "update crm.bulk_run set status = 'cancelled', updated_at = $3::timestamptz, finished_at = $3::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, bulk_id, now,
    )  # fmt: skip
    await events.record(tx, "bulk", bulk_id, "bulk.cancelled", at=now)
    await audit.of_person(tx, "bulk.cancel", "bulk", bulk_id, at=now)
