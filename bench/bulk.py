"""Changing the status of a hundred thousand leads: rows a second with events, timeline and audit, and the same bare.

Ours: the job's own steps, a thousand leads in a durable transaction: visibility, rules, row, activity, event, audit
row, verdict. Baseline: the same rows written by four bare statements a thousand, on one connection of the same role.
"""

import time
from datetime import UTC, datetime
from uuid import UUID

from bench import product, report
from bench.list_leads import fill
from crm import db, ids
from crm.actor import Actor
from crm.bulk import operations as bulk
from crm.bulk import queries, running
from crm.bulk.operations import ToHands, ToStatus
from crm.leads.rules import Status

LEADS = 100_000
BY_THOUSANDS = 1_000
BARE = (
    "update crm.lead set status = 'qualified', status_changed_at = now(), updated_at = now()"
    " where tenant_id = '{tenant}' and id between '{first}' and '{last}'",
    "insert into crm.activity (tenant_id, id, contact_id, lead_id, kind, detail, actor_user_id, occurred_at,"
    " created_at) select tenant_id, gen_random_uuid(), contact_id, id, 'lead.status_changed',"
    " json_build_object('from', 'new', 'to', status, 'reason', null, 'cycle_no', 1), '{user}', now(), now()"
    " from crm.lead where tenant_id = '{tenant}' and id between '{first}' and '{last}'",
    "insert into crm.event_log (tenant_id, aggregate_type, aggregate_id, event_type, payload_json, occurred_at,"
    " actor_user_id) select tenant_id, 'lead', id, 'lead.status_changed',"
    " json_build_object('from', 'new', 'to', status, 'reason', null, 'cycle_no', 1), now(), '{user}'"
    " from crm.lead where tenant_id = '{tenant}' and id between '{first}' and '{last}'",
    "insert into crm.audit_log (tenant_id, actor_user_id, action, target_type, target_id, metadata_json, created_at)"
    " select tenant_id, '{user}', 'lead.status', 'lead', id,"
    " json_build_object('from', 'new', 'to', status, 'reason', null, 'cycle_no', 1), now()"
    " from crm.lead where tenant_id = '{tenant}' and id between '{first}' and '{last}'",
)
CHANGES = (
    ToStatus(Status.interested),
    ToStatus(Status.contacted),
    ToStatus(Status.no_answer),
    ToStatus(Status.interested),
    ToStatus(Status.contacted),
)


def main() -> None:
    """Print rows a second of a change of status and of hands, and what the same costs bare."""
    with product.database():
        product.run(_measure())


async def _measure() -> None:
    firm = await fill(LEADS, status="new")
    await _run(firm, ToStatus(Status.no_answer))
    rates, shares = [], []
    for change in CHANGES:
        ours, accepted = await _run(firm, change)
        bare = await _bare(firm)
        rates.append(LEADS / ours)
        shares.append(bare / ours)
    hands, _ = await _run(firm, ToHands(await _colleague(firm), None))
    report.remark(f"{LEADS} leads by filter, one process, one connection, fsync on; accepting took {accepted:.2f} s")
    report.remark(f"the same rows by four bare statements a thousand take {report.median_of(shares):.2f} of the time")
    report.remark(f"to other hands: {LEADS / hands:.0f} rows/s")
    report.figure("bulk.status.rows_per_s", rates, 5_000, at_least=True)


async def _run(firm: product.Firm, change: bulk.Change) -> tuple[float, float]:
    """Return the seconds that a run over every lead takes, and those of accepting it."""
    begun = time.perf_counter()
    run = await db.run(firm.admin, lambda tx: bulk.submit(tx, change, now=datetime.now(UTC)))
    accepted = time.perf_counter() - begun
    system = Actor.system(firm.tenant_id)
    while await running.step(system, run, now=datetime.now(UTC)):
        pass
    took = time.perf_counter() - begun
    row = await db.run(firm.admin, lambda tx: queries.get(tx, run))
    assert row["done"] == row["total"] == LEADS, dict(row)
    return took, accepted


async def _bare(firm: product.Firm) -> float:
    """Return the seconds that the bare statements take, a transaction for every thousand leads."""
    began = time.perf_counter()
    for first in range(1, LEADS + 1, BY_THOUSANDS):
        bounds = {"first": lead_id(first), "last": lead_id(first + BY_THOUSANDS - 1)}
        async with db.transaction(firm.admin) as tx:
            await tx.execute("set local plan_cache_mode = force_custom_plan")
            for sql in BARE:
                await tx.execute(sql.format(tenant=firm.tenant_id, user=firm.user_id, **bounds))
    return time.perf_counter() - began


def lead_id(number: int) -> UUID:
    """Return the id of a lead that `fill` made."""
    return UUID(f"00000000-0000-7000-9000-{number:012x}")


async def _colleague(firm: product.Firm) -> UUID:
    """Add somebody to give leads to."""
    user_id = ids.new()
    async with db.transaction(firm.admin) as tx:
        await tx.execute(
            "insert into crm.user_account (tenant_id, id, email, name, roles, team_id, created_at, updated_at)"
            " values ($1::uuid, $2::uuid, 'second@bench.example', 'Second', '{sales_agent}', $3::uuid, now(), now())",
            firm.tenant_id, user_id, firm.team_id,
        )  # fmt: skip
    return user_id
