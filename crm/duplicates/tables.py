"""What hangs on a contact: it moves with it when two contacts become one, and back when they are two again.

A test walks the database: a table with a `contact_id` that is not named here fails it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from crm.db import Tx

BESIDE = (
    "exists (select from crm.activity a where a.tenant_id = t.tenant_id and a.id = t.activity_id"
    " and a.contact_id = $3::uuid)"
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows move. `key` (SQL text over the row `t`) tells a row from one that took its place since."""

    name: str
    key: str = "t.id::text"
    of_leads: bool = True
    """Whether a row may belong to a lead, with which it goes back."""
    of_activities: bool = False
    """Whether a row may belong to an activity, with which it goes back."""

    @property
    def move(self) -> str:
        """The statement that moves all rows from one contact ($2) to another ($3) and returns their keys."""
        return (
            f"update crm.{self.name} t set contact_id = $3::uuid"
            f" where t.tenant_id = $1::uuid and t.contact_id = $2::uuid returning {self.key}"
        )

    @property
    def move_back(self) -> str:
        """The statement that moves the rows of these keys ($4) and leads ($5) from one contact ($2) to another ($3)."""
        of_leads = " or t.lead_id = any($5::uuid[])" if self.of_leads else " or $5::uuid[] is null"
        of_activities = f" or {BESIDE}" if self.of_activities else ""
        return (
            f"update crm.{self.name} t set contact_id = $3::uuid where t.tenant_id = $1::uuid"
            f" and t.contact_id = $2::uuid and ({self.key} = any($4::text[]){of_leads}{of_activities})"
        )

    @property
    def any_left(self) -> str:
        """The condition that the contact `m.loser_id` still has rows here."""
        return f"exists (select from crm.{self.name} t where t.tenant_id = m.tenant_id and t.contact_id = m.loser_id)"


LEADS = Table("lead", of_leads=False)
POINTS = Table("contact_point", "t.id::text || ':' || t.key_id::text", of_leads=False)
MOVED = (
    LEADS,  # first: who works on a lead holds its row, and what they write is seen by the statements that follow
    POINTS,
    Table("activity"),
    Table("attachment", of_activities=True),  # after the activities, which are back then
    Table("consent"),
    Table("consent_check"),
    Table("call"),
    Table("recording", of_leads=False),
    Table("callback"),
    Table("dial_entry"),
    Table("dial_attempt"),
)
STAY = {"contact_block": "keys of the names a contact has had, made anew by whoever looks for duplicates"}
"""Tables with a `contact_id` whose rows stay where they are, and why."""


async def move_all(tx: Tx, from_id: UUID, to_id: UUID) -> dict[str, list[str]]:
    """Move every row of one contact to another; return the keys of what moved, table by table."""
    tenant = tx.actor.tenant_id
    # Whoever gives out leads locks them in this order too.
    await tx.execute(
        "select from crm.lead where tenant_id = $1::uuid and contact_id = $2::uuid order by id for update",
        tenant, from_id,
    )  # fmt: skip
    moved = {table.name: [row[0] for row in await tx.fetch(table.move, tenant, from_id, to_id)] for table in MOVED}
    return {name: keys for name, keys in moved.items() if keys}


async def move_back(tx: Tx, from_id: UUID, to_id: UUID, moved: Mapping[str, Sequence[str]]) -> bool:
    """Move rows back, with what came since to leads among them; tell whether all addresses were still there."""
    tenant, leads, is_whole = tx.actor.tenant_id, [UUID(key) for key in moved.get("lead", ())], True
    await tx.execute(
        "select from crm.lead where tenant_id = $1::uuid and id in (select unnest($2::uuid[])) order by id for update",
        tenant, leads,
    )  # fmt: skip
    for table in MOVED:
        keys = moved.get(table.name, [])
        done = await tx.execute(table.move_back, tenant, from_id, to_id, keys, leads)
        if table is POINTS:
            is_whole = done == f"UPDATE {len(keys)}"
    return is_whole
