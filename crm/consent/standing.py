"""What lists show of a person's consent: `contact.consented` and `contact.opted_out`, derived from the facts.

They are hints, kept where a list reads them for nothing. A channel is opted out while the last word on offers or on
enquiries is a no, or an address of its kind is on the do-not-contact list. `queries.may_contact` has the last word.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from crm.consent import last_word
from crm.db import Tx

REFRESH = f"""
with word as (
  select distinct on (f.contact_id, f.channel, f.purpose) f.contact_id, f.channel, f.purpose, f.status
    from unnest($2::uuid[]) as w(id)
   cross join lateral (select * from crm.consent
                        where tenant_id = $1::uuid and contact_id = w.id offset 0) f
   where {last_word.holds("$3::timestamptz")}
   order by f.contact_id, f.channel, f.purpose, {last_word.ORDER}
), refused as (
  select contact_id, channel from word where purpose in ('marketing', 'enquiry') and status <> 'granted'
  union
  select p.contact_id, k.channel
    from unnest($2::uuid[]) as w(id)
   cross join lateral (select contact_id, kind, blind_index from crm.contact_point
                        where tenant_id = $1::uuid and contact_id = w.id offset 0) p
    join crm.dnc_entry d on d.tenant_id = $1::uuid and d.kind = p.kind and d.blind_index = p.blind_index
     and d.removed_at is null
    join (values ('phone', 'call'), ('phone', 'sms'), ('phone', 'whatsapp'), ('email', 'email')) as k(kind, channel)
      on k.kind = p.kind
)
update crm.contact c
   set opted_out = array(select r.channel from refused r where r.contact_id = c.id order by 1),
       consented = array(select w.channel from word w
                          where w.contact_id = c.id and w.purpose = 'marketing' and w.status = 'granted'
                         except select r.channel from refused r where r.contact_id = c.id order by 1),
       updated_at = $3::timestamptz
 where c.tenant_id = $1::uuid and c.id in (select unnest($2::uuid[]))
"""


async def refresh(tx: Tx, contact_ids: Iterable[UUID], *, now: datetime) -> None:
    """Derive the hints of people anew."""
    await tx.execute(REFRESH, tx.actor.tenant_id, list(contact_ids), now)
