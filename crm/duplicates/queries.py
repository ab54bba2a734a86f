"""Looking at merges: what was merged into a contact, and whether it was undone."""

from uuid import UUID

import asyncpg

from crm.contacts import queries as contacts
from crm.db import Tx
from crm.duplicates.merges import MergeNotFound

SHOWN = """
select m.id, m.winner_id, m.loser_id, m.merged_by, b.name as merged_by_name, m.merged_at, m.undone_by,
       u.name as undone_by_name, m.undone_at,
       (select jsonb_object_agg(k.key, jsonb_array_length(k.value)) from jsonb_each(m.moved) k) as rows
  from crm.contact_merge m
  left join crm.user_account b on b.tenant_id = m.tenant_id and b.id = m.merged_by
  left join crm.user_account u on u.tenant_id = m.tenant_id and u.id = m.undone_by
 where m.tenant_id = $1::uuid and
"""


async def of_contact(tx: Tx, contact_id: UUID) -> list[asyncpg.Record]:
    """Return the merges a contact took part in, the latest first.

    :raises contacts.ContactNotFound: when there is no such contact for the actor.
    :raises contacts.ContactMerged: when it is part of another one now.
    """
    await contacts.require_visible(tx, contact_id)
    return await tx.fetch(
        f"{SHOWN} $2::uuid in (m.winner_id, m.loser_id) order by m.seq desc limit 200", tx.actor.tenant_id, contact_id
    )


async def get(tx: Tx, merge_id: UUID) -> asyncpg.Record:
    """Return one merge.

    :raises MergeNotFound: when there is none, or the actor does not see the contact that stayed.
    """
    row = await tx.fetchrow(f"{SHOWN} m.id = $2::uuid", tx.actor.tenant_id, merge_id)
    if row is None:
        raise MergeNotFound
    try:
        await contacts.require_visible(tx, row["winner_id"])
    except contacts.ContactNotFound as error:
        raise MergeNotFound from error
    except contacts.ContactMerged:
        pass  # it was merged on, into one that the actor sees
    return row
