"""Manual and preview dialling: an agent is shown the next lead, calls it, or passes it over.

Agents are shown leads they see anyway: their own, and with the permission their team's.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, codes, errors, events, visibility
from crm.calls import operations as calls
from crm.calls.placing import Placed
from crm.calls.steps import Status as CallStatus
from crm.db import Tx
from crm.dialling import attempts, campaigns, designs, hopper, launching
from crm.dialling.designs import Design
from crm.dialling.loading import CLOSED
from crm.dialling.rules import BY_AGENTS, Mode
from crm.operation import operation
from crm.sql import Args

MANUAL_FOR = timedelta(minutes=30)
"""How long a lead stays with the agent who asked for it, where no deadline is set."""
SKIPPED_FOR = timedelta(hours=2)


class NotByAgents(errors.Conflict):
    """This campaign does not run now, or dials by itself."""

    code = "dial_campaign.not_by_agents"


class OtherTeam(errors.NotAllowed):
    """This campaign is another team's."""

    code = "dial_campaign.other_team"


class EntryNotFound(errors.NotFound):
    """This lead is not with you: its time is over, or it never was."""

    code = "dial_entry.not_found"


class LeadClosed(errors.Conflict):
    """This lead is closed meanwhile: it is not called any more."""

    code = "dial_entry.lead_closed"


HELD = """
select id, lead_id, claimed_until from crm.dial_entry
 where tenant_id = $1::uuid and campaign_id = $2::uuid and state = 'claimed' and claimed_by = $3::uuid
   and claimed_until > $4::timestamptz
 order by id limit 1 for update
"""
TAKE = """
with r as materialized (
  select d.id from crm.dial_entry d join crm.lead l on l.tenant_id = d.tenant_id and l.id = d.lead_id
   where d.tenant_id = {tenant} and d.campaign_id = {campaign} and d.state = 'ready' and {visible}
   order by d.priority desc, d.rank desc, d.id limit 1 for update of d skip locked)
update crm.dial_entry e
   set state = 'claimed', claimed_by = {user}, agent_user_id = {user}, claimed_until = {until}, updated_at = {now}
  from r
 where e.tenant_id = {tenant} and e.id = r.id
returning e.id, e.lead_id, e.claimed_until
"""


@operation("dialling.work")
async def next_lead(tx: Tx, campaign_id: UUID, *, now: datetime) -> asyncpg.Record | None:
    """Show the acting agent the next lead of a manual or preview campaign; None: there is none now.

    An agent has one lead at a time: who asks again gets the same one until its deadline.

    :raises crm.dialling.campaigns.CampaignNotFound: when there is no such campaign.
    :raises NotByAgents: when it does not run, or dials by itself.
    :raises OtherTeam: when it is another team's than the agent's.
    """
    design = await _by_agents(tx, campaign_id)
    user = tx.actor.user_id
    # Who asks twice at once is answered one after the other, and finds the lead of the first answer.
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('dial ' || $1::text, 0))", str(user))
    held = await tx.fetchrow(HELD, tx.actor.tenant_id, campaign_id, user, now)
    if held is not None:
        tx.unchanged()
        return held
    row = await _take(tx, campaign_id, design, now=now)
    if row is None:
        tx.unchanged()
        return None
    told = {"campaign_id": campaign_id, "lead_id": row["lead_id"], "agent_user_id": user}
    await events.record(tx, "dial_entry", row["id"], "dial_entry.offered", told, at=now)
    await audit.of_person(tx, "dial_entry.offered", "dial_entry", row["id"], told, at=now)
    return row


async def _take(tx: Tx, campaign_id: UUID, design: Design, *, now: datetime) -> asyncpg.Record | None:
    args = Args()
    waits = timedelta(seconds=design.preview_s) if design.mode is Mode.preview else MANUAL_FOR
    sql = TAKE.format(
        user=args.add(tx.actor.user_id, "uuid"), until=args.add(now + waits, "timestamptz"),
        now=args.add(now, "timestamptz"), tenant=args.add(tx.actor.tenant_id, "uuid"),
        campaign=args.add(campaign_id, "uuid"), visible=visibility.condition(tx.actor, args),
    )  # fmt: skip
    return await tx.fetchrow(sql, *args)


async def _by_agents(tx: Tx, campaign_id: UUID) -> Design:
    await campaigns.get(tx, campaign_id)
    row = await launching.running(tx, campaign_id)
    design = designs.of_row(row) if row is not None else None
    if design is None or design.mode not in BY_AGENTS:
        raise NotByAgents
    if design.team_id not in (None, tx.actor.team_id):
        raise OtherTeam
    return design


@operation("dialling.work")
async def call(tx: Tx, entry_id: UUID, *, now: datetime) -> Placed:
    """Call the lead the acting agent was shown: their own telephone first, then the person's.

    Who may not be called is not: the answer says why, and the attempt is kept as blocked.

    :raises EntryNotFound: when the lead is not with this agent now.
    :raises LeadClosed: when it was won, lost or blocked meanwhile.
    :raises NotByAgents: when its campaign does not run any more.
    :raises crm.calls.placing.ContactOnCall, crm.calls.operations.TooManyCalls, crm.agents.states.NotSignedOn,
        crm.agents.states.AgentBusy: as for every call.
    """
    entry = await _held(tx, entry_id, now=now)
    design = await _by_agents(tx, entry["campaign_id"])
    if entry["lead_status"] in CLOSED:
        raise LeadClosed
    placed = await calls.request(
        tx, entry["lead_id"], purpose=design.purpose, campaign_id=entry["campaign_id"], caller_id=design.caller_id,
        ring_s=design.ring_s, now=now,
    )  # fmt: skip
    if placed.status is CallStatus.denied:
        denied = hopper.stop_of(placed.answer, now=now)
        assert denied is not None, "what is denied has a reason"
        await attempts.block(tx, design, entry, denied, call_id=placed.call_id, now=now)
    else:
        await attempts.begin(tx, design, entry, placed.call_id, agent=tx.actor.user_id, now=now)
    return placed


async def _held(tx: Tx, entry_id: UUID, *, now: datetime) -> asyncpg.Record:
    found = await launching.claimed(tx, [entry_id], tx.actor.user_id) if tx.actor.user_id else []
    if not found or found[0]["claimed_until"] <= now:
        raise EntryNotFound
    return found[0]


@operation("dialling.work")
async def skip(tx: Tx, entry_id: UUID, *, reason: str, now: datetime) -> None:
    """Pass a lead over that the acting agent was shown; others may get it later. `reason` is a code.

    :raises EntryNotFound: when the lead is not with this agent now.
    """
    codes.require(reason=reason)
    entry = await _held(tx, entry_id, now=now)
    await tx.execute(
        "update crm.dial_entry set state = 'listed', reason = $3::text, next_at = $4::timestamptz, claimed_by = null,"
        " claimed_until = null, agent_user_id = null, updated_at = $5::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, entry_id, reason, now + SKIPPED_FOR, now,
    )  # fmt: skip
    told: dict[str, Any] = {"campaign_id": entry["campaign_id"], "lead_id": entry["lead_id"], "reason": reason}
    await events.record(tx, "dial_entry", entry_id, "dial_entry.skipped", told, at=now)
    await audit.of_person(tx, "dial_entry.skipped", "dial_entry", entry_id, told, at=now)
