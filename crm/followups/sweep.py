"""What other doors leave to follow-ups: a change of status, in bulk or by a source, sells and undoes sales, too."""

from datetime import datetime

from crm.db import Tx
from crm.followups import check_ins
from crm.operation import operation

UNDONE = """
select l.id, l.contact_id, c.cycle_no
  from (select distinct lead_id, cycle_no from crm.check_in where tenant_id = $1::uuid and status = 'pending') c
  join crm.lead l on l.tenant_id = $1::uuid and l.id = c.lead_id
 where l.cycle_no = c.cycle_no and l.status <> 'won'
    or exists (select from crm.sale s where s.tenant_id = $1::uuid and s.lead_id = c.lead_id
                  and s.cycle_no = c.cycle_no and s.cancelled_at is not null)
   and not exists (select from crm.sale s where s.tenant_id = $1::uuid and s.lead_id = c.lead_id
                      and s.cycle_no = c.cycle_no and s.cancelled_at is null)
 order by l.id, c.cycle_no limit 200
   for update of l skip locked
"""
"""Leads whose sale was undone by some other door (a change of status, in bulk) with check-ins still pending."""


@operation("check_in.sweep")
async def cancel_undone(tx: Tx, *, now: datetime) -> int:
    """Cancel what is pending although the sale behind it is no more; return how many."""
    done = 0
    for row in await tx.fetch(UNDONE, tx.actor.tenant_id):
        done += await check_ins.cancel_pending(tx, row, now=now)
    if not done:
        tx.unchanged()
    return done


UNSCHEDULED = """
select l.id, l.contact_id, l.status, l.cycle_no, l.team_id, p.id as procedure_id, p.type, p.takes_place_on
  from crm.procedure p
  join crm.lead l on l.tenant_id = $1::uuid and l.id = p.lead_id and l.cycle_no = p.cycle_no
 where p.tenant_id = $1::uuid and p.check_ins_at is null and p.takes_place_on is not null and l.status = 'won'
 order by l.id limit 200
   for update of l, p skip locked
"""
"""Procedures with a day whose lead was won by some other door, so that nobody has scheduled their check-ins."""


@operation("check_in.sweep")
async def schedule_missing(tx: Tx, *, now: datetime) -> int:
    """Schedule the check-ins of what was sold by another door than the sale's; return of how many procedures."""
    found = await tx.fetch(UNSCHEDULED, tx.actor.tenant_id)
    changed = [
        await check_ins.keep(tx, row, row["procedure_id"], row["type"], row["takes_place_on"], now=now)
        for row in found
    ]  # fmt: skip
    if not any(changed):
        tx.unchanged()
    return len(found)
