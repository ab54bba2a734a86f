"""Which version of a process a call gets when it starts: by its campaign, its queue, its purpose, or an experiment."""

import re
from datetime import datetime
from uuid import UUID

from crm.db import Tx
from crm.experiments import operations as experiments
from crm.experiments.operations import NotRunning
from crm.experiments.queries import UnknownExperiment
from crm.leads.rows import LeadNotFound

SCRIPT = re.compile(r"(?P<key>[a-z0-9][a-z0-9_-]{0,49})(?:\.v(?P<version>[1-9][0-9]{0,5}))?")
"""How a variant of an experiment names what agents follow: `offer` (the version in force) or `offer.v3`."""

USE = """
select u.process_id, u.experiment
  from (values (1, 'campaign'), (2, 'queue'), (3, 'purpose')) as w(place, by)
 cross join lateral (
   select process_id, experiment from crm.process_use
    where tenant_id = $1::uuid and valid_from <= $5::timestamptz
      and case w.by when 'campaign' then campaign_id = $2::uuid when 'queue' then queue = $3::text
                    else purpose = $4::text end
    order by valid_from desc, id desc limit 1) u
  join crm.process p on p.tenant_id = $1::uuid and p.id = u.process_id
   and (p.retired_at is null or p.retired_at > $5::timestamptz)
 order by w.place limit 1
"""
IN_FORCE = """
select v.id from crm.process p
  join crm.process_version v on v.tenant_id = p.tenant_id and v.process_id = p.id
 where p.tenant_id = $1::uuid and (p.id = $2::uuid or p.key = $3::text)
   and (p.retired_at is null or p.retired_at > $5::timestamptz) and v.published_at <= $5::timestamptz
   and (v.retired_at is null or v.retired_at > $5::timestamptz) and ($4::int is null or v.version_no = $4::int)
 order by v.version_no desc limit 1
"""


async def version_for(
    tx: Tx,
    *,
    campaign_id: UUID | None = None,
    queue: str | None = None,
    purpose: str,
    lead_id: UUID | None = None,
    at: datetime,
) -> UUID | None:
    """Return the version that a call starting at an instant (UTC) follows to its end, or None when it follows none.

    The closest word counts: the campaign's, then the queue's, then the purpose's. Where an experiment chooses, the lead
    is exposed to it here, once; without a lead, or when it does not run, the process itself is followed.
    """
    use = await tx.fetchrow(USE, tx.actor.tenant_id, campaign_id, queue, purpose, at)
    if use is None:
        return None
    if use["experiment"] is not None and lead_id is not None:
        chosen = await _of_experiment(tx, use["experiment"], lead_id, at=at)
        if chosen is not None:
            return chosen
    return await in_force(tx, process_id=use["process_id"], at=at)


async def in_force(
    tx: Tx, *, process_id: UUID | None = None, key: str | None = None, version_no: int | None = None, at: datetime
) -> UUID | None:
    """Return the version of a process (by its id or key) in force at an instant (UTC), or a certain one if it was."""
    found: UUID | None = await tx.fetchval(IN_FORCE, tx.actor.tenant_id, process_id, key, version_no, at)
    return found


async def of_script(tx: Tx, script: str, *, at: datetime) -> UUID | None:
    """Return the version that a variant's script (`offer`, `offer.v3`) means at an instant (UTC), or None."""
    named = SCRIPT.fullmatch(script)
    if named is None:
        return None
    version_no = int(named["version"]) if named["version"] else None
    return await in_force(tx, key=named["key"], version_no=version_no, at=at)


async def _of_experiment(tx: Tx, key: str, lead_id: UUID, *, at: datetime) -> UUID | None:
    try:
        variant = await experiments.expose(tx, key, lead_id, now=at)
    except (NotRunning, UnknownExperiment, LeadNotFound):
        # An experiment that is over, or a lead that is not the actor's, is no reason to have no script.
        return None
    return None if variant.script is None else await of_script(tx, variant.script, at=at)
