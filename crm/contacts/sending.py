"""The number a provider needs at the moment of sending: read by the system alone, shown to nobody."""

from collections.abc import Callable, Collection
from typing import TypeVar
from uuid import UUID

from crm import vault
from crm.db import Tx
from crm.phone import Phone

T = TypeVar("T")

NUMBERS = """
select c.id, p.key_id, p.sealed
  from unnest($2::uuid[]) as wanted(id)
  join crm.contact c on c.tenant_id = $1::uuid and c.id = wanted.id and c.erased_at is null
 cross join lateral (
    select p.key_id, p.sealed from crm.contact_point p
     where p.tenant_id = $1::uuid and p.contact_id = c.id and p.kind = 'phone'
     order by p.masked = c.phone_masked desc nulls last, p.created_at, p.id limit 1) p
"""


async def numbers(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, Phone]:
    """Return the main number of each contact that has one; erased people have none any more.

    For an adapter that is about to dial or send, and for nobody else: it is neither counted nor written down here,
    because the call or message itself is.

    :raises crm.actor.Forbidden: when a person asks.
    """
    if not tx.actor.is_system:
        tx.actor.require("contact.number_for_provider")
    return await _numbers(tx, contact_ids)


async def say_of_number(tx: Tx, contact_id: UUID, question: Callable[[Phone], T]) -> T | None:
    """Return what a question says of a contact's main number; None when they have none.

    Anybody may ask: the answer must be one that no number can be told from, as its country is.
    """
    number = (await _numbers(tx, [contact_id])).get(contact_id)
    return None if number is None else question(number)


async def _numbers(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, Phone]:
    rows = await tx.fetch(NUMBERS, tx.actor.tenant_id, list(contact_ids))
    keys = await vault.find(tx.actor.tenant_id, {row["key_id"] for row in rows})
    return {row["id"]: Phone(keys[row["key_id"]].open(row["sealed"])) for row in rows if row["key_id"] in keys}
