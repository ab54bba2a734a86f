"""Calls that customers make: whoever calls is found by their number, or becomes a contact, before anybody answers."""

from datetime import datetime
from uuid import UUID

from crm import events, phone, vault
from crm.calls import keeping, rows
from crm.contacts import operations as people
from crm.db import Tx
from crm.operation import operation
from crm.processes import version_for

FIND = """
select c.id as contact_id,
       (select l.id from crm.lead l where l.tenant_id = $1::uuid and l.contact_id = c.id and l.status not in ('lost')
         order by l.created_at desc, l.id desc limit 1) as lead_id
  from crm.contact_point p join crm.contact c on c.tenant_id = p.tenant_id and c.id = p.contact_id
 where p.tenant_id = $1::uuid and p.kind = 'phone' and p.blind_index = $2::bytea and c.erased_at is null
 limit 1
"""
INSERT = """
insert into crm.call (tenant_id, id, direction, purpose, status, lead_id, contact_id, queue, requested_at, external_id,
                      process_version_id, updated_at)
values ($1::uuid, $2::uuid, 'inbound', 'inbound', 'ringing', $3::uuid, $4::uuid, $5::text, $6::timestamptz, $7::text,
        $8::uuid, $6::timestamptz)
    on conflict do nothing
returning *
"""


@operation("call.hear")
async def arrive(tx: Tx, name: str, number: str, *, queue: str | None, at: datetime, now: datetime) -> UUID:
    """Take note of a call that comes in and return its id; told again, it is the same call.

    `name`: the exchange's id of it. `number`: as the network shows it; one that cannot be read is a caller unknown.
    `at` (UTC): when it came, by the exchange's clock; one that is ahead of ours is set right here.
    A caller nobody knows becomes a contact, so that they can be called back without anyone seeing the number.
    """
    call_id, at = keeping.call_id_of(tx.actor.tenant_id, name), min(at, now)
    contact_id, lead_id = await _who(tx, number, now=now)
    version_id = await version_for(tx, queue=queue, purpose="inbound", lead_id=lead_id, at=at)
    row = await tx.fetchrow(INSERT, tx.actor.tenant_id, call_id, lead_id, contact_id, queue, at, name, version_id)
    if row is None:
        tx.unchanged()
        return call_id
    await events.record(tx, "call", call_id, "call.arrived", rows.payload(row), at=at)
    return call_id


async def _who(tx: Tx, number: str, *, now: datetime) -> tuple[UUID | None, UUID | None]:
    """Return the contact and the latest lead of a number, making a contact of one that is new."""
    home = await tx.fetchval("select country from crm.tenant where tenant_id = $1::uuid", tx.actor.tenant_id)
    try:
        known = phone.parse(number, country=home or "TR")
    except phone.NotAPhone:
        return None, None
    index = vault.blind_index(tx.actor.tenant_id, "phone", known)
    found = await tx.fetchrow(FIND, tx.actor.tenant_id, index)
    if found is not None:
        return found["contact_id"], found["lead_id"]
    return await people.create(tx, people.NewContact(phone=known, source="inbound_call"), now=now), None
