"""People who withdrew, or whose leads were closed, while they stood in a hopper: they leave it at once.

The last moment is asked for each call anyway; this spares the dialer the asking and shows the truth on screens.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from crm import events
from crm.consent import may_contact_many
from crm.consent.rules import Channel, Purpose
from crm.db import Tx
from crm.dialling.hopper import LEAD_CLOSED, PASSING
from crm.dialling.loading import CLOSED
from crm.operation import operation

WAITING = """
select e.id, e.campaign_id, e.lead_id, e.contact_id, k.purpose, l.status as lead_status
  from unnest($2::uuid[], $3::uuid[]) as w(contact_id, lead_id)
 cross join lateral (
   select * from crm.dial_entry
    where tenant_id = $1::uuid and state in ('listed', 'ready', 'claimed')
      and (contact_id = w.contact_id or lead_id = w.lead_id)) e
  join crm.dial_campaign k on k.tenant_id = $1::uuid and k.id = e.campaign_id
  join crm.lead l on l.tenant_id = $1::uuid and l.id = e.lead_id
 order by e.id
"""
EXCLUDE = """
update crm.dial_entry
   set state = 'excluded', reason = $3::text, claimed_by = null, claimed_until = null, agent_user_id = null,
       updated_at = $4::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid and state in ('listed', 'ready', 'claimed')
returning true
"""


HOLDERS = """
select distinct p.contact_id
  from unnest($2::uuid[]) as w(id)
  join crm.dnc_entry d on d.tenant_id = $1::uuid and d.id = w.id
  join crm.contact_point p on p.tenant_id = $1::uuid and p.kind = d.kind and p.blind_index = d.blind_index
"""


async def holders_of(tx: Tx, dnc_entry_ids: Iterable[UUID]) -> set[UUID]:
    """Return the people who have an address that is on the do-not-contact list under these entries."""
    return {row["contact_id"] for row in await tx.fetch(HOLDERS, tx.actor.tenant_id, list(dnc_entry_ids))}


@operation("dialling.run")
async def exclude(tx: Tx, contacts: Iterable[UUID], leads: Iterable[UUID], *, now: datetime) -> int:
    """Take out of all hoppers the people who may not be called any more and the leads that are closed; return how many.

    Those who may still be called stay where they are.
    """
    wanted = [(each, None) for each in contacts] + [(None, each) for each in leads]
    columns = [list(column) for column in zip(*wanted, strict=True)] if wanted else [[], []]
    rows = await tx.fetch(WAITING, tx.actor.tenant_id, *columns)
    reasons: dict[UUID, str] = {}
    for purpose in {row["purpose"] for row in rows}:
        people = {row["contact_id"] for row in rows if row["purpose"] == purpose}
        answers = await may_contact_many(tx, people, Channel.call, Purpose(purpose), at=now)
        for row in rows:
            answer = answers.get(row["contact_id"])
            if row["purpose"] == purpose and answer and answer.reason and answer.reason not in PASSING:
                reasons[row["id"]] = answer.reason.value
    reasons |= {row["id"]: LEAD_CLOSED for row in rows if row["lead_status"] in CLOSED}
    gone = [row for row in rows if row["id"] in reasons]
    told = []
    for row in gone:
        if await tx.fetchval(EXCLUDE, tx.actor.tenant_id, row["id"], reasons[row["id"]], now):
            detail = {"campaign_id": row["campaign_id"], "lead_id": row["lead_id"], "reason": reasons[row["id"]]}
            told.append(("dial_entry", row["id"], "dial_entry.excluded", detail))
    await events.record_many(tx, told, at=now)
    if not told:
        tx.unchanged()
    return len(told)
