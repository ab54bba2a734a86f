"""Looking at processes, their versions, and where they are in use."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import errors
from crm.db import Tx
from crm.processes.definition import Definition


class UnknownProcess(errors.NotFound):
    """There is no such process."""

    code = "process.not_found"


class UnknownVersion(errors.NotFound):
    """There is no such version of a process."""

    code = "process.version_not_found"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a process: a draft until it is published (UTC), as it was since then."""

    id: UUID
    process_id: UUID
    key: str
    version_no: int
    definition: Definition
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    published_by: UUID | None
    published_at: datetime | None
    retired_at: datetime | None

    @property
    def status(self) -> str:
        """How it stands: draft, published or retired."""
        if self.published_at is None:
            return "draft"
        return "published" if self.retired_at is None else "retired"


VERSION = """
select v.id, v.process_id, p.key, v.version_no, v.definition, v.created_by, v.created_at, v.updated_at, v.published_by,
       v.published_at, coalesce(v.retired_at, case when v.published_at is not null then p.retired_at end) as retired_at
  from crm.process_version v join crm.process p on p.tenant_id = v.tenant_id and p.id = v.process_id
 where v.tenant_id = $1::uuid
"""


async def version(tx: Tx, version_id: UUID) -> Version:
    """Return one version by its id.

    :raises UnknownVersion: when there is none.
    """
    return _version(await tx.fetchrow(f"{VERSION} and v.id = $2::uuid", tx.actor.tenant_id, version_id))


async def numbered(tx: Tx, process_id: UUID, version_no: int) -> Version:
    """Return one version of a process by its number.

    :raises UnknownVersion: when there is none.
    """
    which = f"{VERSION} and v.process_id = $2::uuid and v.version_no = $3::int"
    return _version(await tx.fetchrow(which, tx.actor.tenant_id, process_id, version_no))


async def versions(tx: Tx, process_id: UUID) -> list[Version]:
    """Return the versions of a process, the latest first; of very many the latest five hundred.

    :raises UnknownProcess: when there is no such process.
    """
    await one(tx, process_id)
    rows = await tx.fetch(
        f"{VERSION} and v.process_id = $2::uuid order by v.version_no desc limit 500", tx.actor.tenant_id, process_id
    )
    return [_version(row) for row in rows]


def _version(row: asyncpg.Record | None) -> Version:
    if row is None:
        raise UnknownVersion
    return Version(**{**row, "definition": Definition.model_validate(row["definition"])})


# In force is the highest of what was published by an instant and was not retired then.
PROCESS = """
select p.id, p.key, p.labels, p.created_by, p.created_at, p.updated_at, p.retired_at,
       (select max(v.version_no) from crm.process_version v
         where v.tenant_id = p.tenant_id and v.process_id = p.id and v.published_at is not null
           and v.retired_at is null and p.retired_at is null) as version_no,
       (select v.version_no from crm.process_version v
         where v.tenant_id = p.tenant_id and v.process_id = p.id and v.published_at is null) as draft_no
  from crm.process p where p.tenant_id = $1::uuid
"""


async def one(tx: Tx, process_id: UUID) -> asyncpg.Record:
    """Return a process: its key and labels, the number of the version in force and of the draft (None: none).

    :raises UnknownProcess: when there is none.
    """
    row = await tx.fetchrow(f"{PROCESS} and p.id = $2::uuid", tx.actor.tenant_id, process_id)
    if row is None:
        raise UnknownProcess
    return row


async def every(tx: Tx) -> list[asyncpg.Record]:
    """Return all processes by key, retired ones too; a firm has few."""
    return await tx.fetch(f"{PROCESS} order by p.key limit 500", tx.actor.tenant_id)


USES = """
select u.id, u.campaign_id, u.queue, u.purpose, u.process_id, p.key as process, u.experiment, u.valid_from, u.set_by
  from (select distinct on (campaign_id, queue, purpose) *
          from crm.process_use where tenant_id = $1::uuid and valid_from <= $2::timestamptz
         order by campaign_id, queue, purpose, valid_from desc, id desc) u
  join crm.process p on p.tenant_id = u.tenant_id and p.id = u.process_id
 order by u.campaign_id nulls last, u.queue nulls last, u.purpose limit 1000
"""


async def uses(tx: Tx, *, at: datetime) -> list[asyncpg.Record]:
    """Return where processes were in use at an instant (UTC): campaigns first, then queues, then purposes."""
    return await tx.fetch(USES, tx.actor.tenant_id, at)
