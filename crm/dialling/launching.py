"""Placing a campaign's calls: claimed leads become calls, or attempts that were not allowed, in one transaction.

What is asked of the exchange here is asked once: the entry leaves the hopper in the transaction that asks, and only the
end of its call brings it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from crm.calls import dialling as calls
from crm.calls.steps import LIVE
from crm.db import Tx
from crm.dialling import attempts, designs, hopper, leases
from crm.dialling.designs import Design
from crm.dialling.hopper import LEAD_CLOSED, Stop
from crm.dialling.loading import CLOSED
from crm.dialling.rules import State, Status
from crm.operation import operation

ON_CALL = "on_call"
"""Why a lead waits whose person is on the telephone with somebody of ours."""
AFTER_CALL = timedelta(minutes=15)

LOCK = """
with mine as materialized (
  select * from crm.dial_entry where tenant_id = $1::uuid and id in (select unnest($2::uuid[]))
     and state = 'claimed' and claimed_by = $3::uuid order by id for update)
select e.id, e.campaign_id, e.lead_id, e.contact_id, e.attempts, e.answer_p, e.agent_user_id, e.claimed_until,
       (select max(o.locked_until) from crm.dial_entry o
         where o.tenant_id = $1::uuid and o.contact_id = e.contact_id) as locked_until,
       c.country, c.phone_masked, t.timezone, l.status as lead_status,
       exists (select from crm.call k
                where k.tenant_id = $1::uuid and k.contact_id = e.contact_id and k.ended_at is null
                  and k.source = 'live' and k.status in (select unnest($4::text[]))) as is_on_call
  from mine e
  join crm.contact c on c.tenant_id = $1::uuid and c.id = e.contact_id
  join crm.lead l on l.tenant_id = $1::uuid and l.id = e.lead_id
  join crm.tenant t on t.tenant_id = $1::uuid
 order by e.contact_id, e.id
"""


@dataclass(frozen=True, slots=True)
class Launched:
    """A call that was asked of the exchange, and for which entry."""

    entry_id: UUID
    call_id: UUID


@operation("dialling.run")
async def launch(
    tx: Tx, campaign_id: UUID, entry_ids: Sequence[UUID], holder: UUID, *, now: datetime
) -> list[Launched]:
    """Dial leads that this dialer has claimed, each asked at this moment whether it may be; return the calls.

    Who may not be called is noted as a blocked attempt and put off or excluded. Entries that are no longer this
    dialer's, and all of them when the campaign no longer runs, are left alone.

    :raises crm.dialling.leases.LeaseLost: when another dialer runs the campaign now.
    """
    await leases.require(tx, campaign_id, holder)
    campaign = await running(tx, campaign_id)
    entries = await claimed(tx, entry_ids, holder) if campaign else []
    made = []
    for entry in entries:
        assert campaign is not None
        call_id = await _dial(tx, designs.of_row(campaign), entry, now=now)
        if call_id is not None:
            made.append(Launched(entry["id"], call_id))
    if not entries:
        tx.unchanged()
    return made


async def running(tx: Tx, campaign_id: UUID) -> asyncpg.Record | None:
    """Return a campaign's row when it runs, which it does until the transaction ends."""
    return await tx.fetchrow(
        "select * from crm.dial_campaign where tenant_id = $1::uuid and id = $2::uuid and status = $3::text for share",
        tx.actor.tenant_id, campaign_id, Status.running.value,
    )  # fmt: skip


async def claimed(tx: Tx, entry_ids: Sequence[UUID], holder: UUID) -> list[asyncpg.Record]:
    """Return entries that a holder has claimed, locked, with what dialling them depends on."""
    return await tx.fetch(LOCK, tx.actor.tenant_id, list(entry_ids), holder, sorted(LIVE))


def stop_now(entry: asyncpg.Record, *, now: datetime) -> Stop | None:
    """Return what keeps a claimed lead from being dialled, apart from what the person said."""
    if entry["lead_status"] in CLOSED:
        return State.excluded, LEAD_CLOSED, None
    if entry["is_on_call"]:
        return State.listed, ON_CALL, now + AFTER_CALL
    return None


async def _dial(tx: Tx, design: Design, entry: asyncpg.Record, *, now: datetime) -> UUID | None:
    """Dial one lead; return its call, None when there is none."""
    stop = stop_now(entry, now=now) or hopper.locked_out(entry, design, now=now)
    if stop is None:
        wanted = calls.Dial(
            contact_id=entry["contact_id"], lead_id=entry["lead_id"], purpose=attempts.PURPOSE, queue=design.queue,
            campaign_id=entry["campaign_id"], caller_id=design.caller_id, ring_s=design.ring_s,
            detects_machines=design.detects_machines, consent_purpose=design.purpose,
            machine_message=design.machine_message if design.on_machine == "leave_message" else None,
        )  # fmt: skip
        try:
            dialled = await calls.dial(tx, wanted, now=now)
        except calls.ContactOnCall:  # somebody was quicker, between our look and our turn at the person
            stop = State.listed, ON_CALL, now + AFTER_CALL
        else:
            if dialled.call_id is not None:
                await attempts.begin(tx, design, entry, dialled.call_id, now=now)
                return dialled.call_id
            stop = hopper.stop_of(dialled.answer, now=now)
            assert stop is not None, "what is not allowed has a reason"
    await attempts.block(tx, design, entry, stop, now=now)
    return None
