"""The hopper: leads looked at ahead of time and found dialable, and who has taken which.

Looking ahead keeps the dialer quick; it decides nothing for good: whether a person may be called is asked once more at
the moment of dialling, and again when the number is taken from the vault.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from crm import events
from crm.consent import may_contact_many, places
from crm.consent.rules import Answer, Channel, Reason
from crm.db import Tx
from crm.dialling import campaigns, designs, learning, timing
from crm.dialling.designs import Design
from crm.dialling.loading import CLOSED
from crm.dialling.rules import BY_AGENTS, State, Status
from crm.dialling.timing import Learned, Prospect
from crm.operation import operation

BATCH = 200
"""Leads looked at in one transaction."""
KEEP = 100
"""Leads that are kept ready."""
PASSING = frozenset({Reason.outside_hours, Reason.cooling_off, Reason.frequency_cap})
"""What keeps a person from being called for a while only."""
LATER = timedelta(hours=12)
"""When somebody is looked at again of whom no instant is known at which they may be called."""
LEAD_CLOSED = "lead_closed"
PROMISED = "callback_promised"
LOCKED_OUT = "locked_out"
"""Why somebody waits whom some campaign abandoned lately: no campaign that dials by itself calls them."""

# What is limited and locked is materialised: joined as it stands, the planner may take it anew for each row it joins.
CANDIDATES = """
with due as materialized (
  select id, lead_id, contact_id, attempts from crm.dial_entry
   where tenant_id = $1::uuid and campaign_id = $2::uuid and state = 'listed' and next_at <= $3::timestamptz
   order by priority desc, next_at limit $4::int for update skip locked)
select e.id, e.lead_id, e.contact_id, e.attempts, l.status, l.source, c.country, c.phone_masked, t.timezone,
       (select max(b.promised_until) from crm.callback b
         where b.tenant_id = $1::uuid and b.contact_id = e.contact_id and b.ended_at is null) as promised_until,
       (select max(o.locked_until) from crm.dial_entry o
         where o.tenant_id = $1::uuid and o.contact_id = e.contact_id) as locked_until
  from due e
  join crm.lead l on l.tenant_id = $1::uuid and l.id = e.lead_id
  join crm.contact c on c.tenant_id = $1::uuid and c.id = e.contact_id
  join crm.tenant t on t.tenant_id = $1::uuid
"""
EXPIRED = """
update crm.dial_entry
   set state = 'listed', claimed_by = null, claimed_until = null, agent_user_id = null, updated_at = $3::timestamptz
 where tenant_id = $1::uuid and campaign_id = $2::uuid and state = 'claimed' and claimed_until <= $3::timestamptz
"""
READY = """
update crm.dial_entry e
   set state = 'ready', reason = null, zone = r.zone, answer_p = r.answer_p, best_hour = r.best_hour, rank = r.rank,
       updated_at = $2::timestamptz
  from unnest($3::uuid[], $4::text[], $5::float8[], $6::int[], $7::float8[]) as r(id, zone, answer_p, best_hour, rank)
 where e.tenant_id = $1::uuid and e.id = r.id
"""
PUT_OFF = """
update crm.dial_entry e
   set state = r.state, reason = r.reason, next_at = coalesce(r.next_at, e.next_at), updated_at = $2::timestamptz
  from unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[]) as r(id, state, reason, next_at)
 where e.tenant_id = $1::uuid and e.id = r.id
"""


READY_NOW = """
select count(*) from (select from crm.dial_entry
 where tenant_id = $1::uuid and campaign_id = $2::uuid and state = 'ready' limit $3::int) r
"""


@operation("dialling.run")
async def fill(tx: Tx, campaign_id: UUID, learned: Learned, *, keep: int = KEEP, now: datetime) -> int:
    """Look at leads whose time has come and make those ready that may be called, until about `keep` are; return how
    many were looked at, `BATCH` at most.

    Who may not be called for a while is put off until then; who may not be called at all, or whose lead is closed, is
    excluded. What somebody claimed and let lapse is given back first.

    :raises crm.dialling.campaigns.CampaignNotFound: when there is none.
    """
    tenant = tx.actor.tenant_id
    row = await campaigns.get(tx, campaign_id)
    await tx.execute(EXPIRED, tenant, campaign_id, now)
    missing = keep - await tx.fetchval(READY_NOW, tenant, campaign_id, keep)
    design, found = designs.of_row(row), []
    if missing > 0 and row["status"] == Status.running and design.opening.is_open(now):
        found = await tx.fetch(CANDIDATES, tenant, campaign_id, now, min(missing, BATCH))
    if not found:
        tx.unchanged()
        return 0
    people = {each["contact_id"] for each in found}
    answers = await may_contact_many(tx, people, Channel.call, design.purpose, at=now)
    refused = {each["id"]: stop for each in found if (stop := _stop(each, answers, design, now=now))}
    fit = [each for each in found if each["id"] not in refused]
    await _make_ready(tx, fit, design, learned, now=now)
    await _put_off(tx, campaign_id, found, refused, now=now)
    return len(found)


Stop = tuple[State, str, datetime | None]
"""What a lead becomes that is not dialled now, why, and until when."""


def _stop(entry: asyncpg.Record, answers: Mapping[UUID, Answer], design: Design, *, now: datetime) -> Stop | None:
    """Return what keeps a lead from being dialled now; None: nothing."""
    if entry["status"] in CLOSED:
        return State.excluded, LEAD_CLOSED, None
    if entry["promised_until"] is not None:
        return State.listed, PROMISED, max(entry["promised_until"], now + timedelta(minutes=5))
    return locked_out(entry, design, now=now) or stop_of(answers[entry["contact_id"]], now=now)


def locked_out(entry: Mapping[str, Any], design: Design, *, now: datetime) -> Stop | None:
    """Return what it means that a person was abandoned lately (`locked_until`): nothing where an agent is first."""
    until = entry["locked_until"]
    if until is None or until <= now or design.mode in BY_AGENTS:
        return None
    return State.listed, LOCKED_OUT, until


def stop_of(answer: Answer, *, now: datetime) -> Stop | None:
    """Return what an answer about a person means for their lead: put off, excluded, or (None) neither."""
    if answer.reason is None:
        return None
    if answer.reason in PASSING:
        return State.listed, answer.reason.value, answer.not_before or now + LATER
    return State.excluded, answer.reason.value, None


async def _make_ready(
    tx: Tx, fit: Sequence[asyncpg.Record], design: Design, learned: Learned, *, now: datetime
) -> None:
    """Put leads into the hopper, each with its chance now and how good that is for this lead."""
    tries = await learning.tries_of(tx, [each["lead_id"] for each in fit], now=now) if fit else {}
    rows = []
    for each in fit:
        zone = zone_of(each)
        prospect = Prospect(each["source"], each["attempts"], tries.get(each["lead_id"], {}))
        hours = [(at.weekday(), at.hour) for at in _day_ahead(design, zone, now)]
        p, (best, best_p) = timing.chance(learned, prospect, *hours[0]), timing.best_hour(learned, prospect, hours)
        rows.append((each["id"], zone.key, p, best, p / best_p))
    if rows:
        await tx.execute(READY, tx.actor.tenant_id, now, *[list(column) for column in zip(*rows, strict=True)])


def _day_ahead(design: Design, zone: ZoneInfo, now: datetime) -> list[datetime]:
    """Return this instant and those of the next 23 hours at which the campaign dials, by a lead's own clock."""
    ahead = (now + timedelta(hours=n) for n in range(1, 24))
    opening = design.opening
    return [at.astimezone(zone) for at in (now, *(each for each in ahead if opening.is_open(each)))]


def zone_of(person: Mapping[str, Any]) -> ZoneInfo:
    """Return the zone that is taken for a person's (row: `country`, `phone_masked`, `timezone`): where several are
    possible the first by name. It guesses when they are at home; calling hours are kept in all of them."""
    found = places.of_contact(person["country"], person["phone_masked"], None, home=person["timezone"])
    return places.zone(min(name for _, name in found))


async def _put_off(
    tx: Tx, campaign_id: UUID, found: Sequence[asyncpg.Record], refused: Mapping[UUID, Stop], *, now: datetime
) -> None:
    rows = [(entry_id, state.value, reason, until) for entry_id, (state, reason, until) in refused.items()]
    if rows:
        await tx.execute(PUT_OFF, tx.actor.tenant_id, now, *[list(column) for column in zip(*rows, strict=True)])
    leads = {each["id"]: each["lead_id"] for each in found}
    excluded = {entry_id: reason for entry_id, (state, reason, _) in refused.items() if state is State.excluded}
    count = {"ready": len(found) - len(rows), "put_off": len(rows) - len(excluded), "excluded": len(excluded)}
    told = [
        ("dial_entry", entry_id, "dial_entry.excluded",
         {"campaign_id": campaign_id, "lead_id": leads[entry_id], "reason": reason})
        for entry_id, reason in excluded.items()
    ]  # fmt: skip
    await events.record_many(tx, [("dial_campaign", campaign_id, "dial_campaign.hopper_filled", count), *told], at=now)


CLAIM = """
with r as materialized (
  select id from crm.dial_entry
   where tenant_id = $1::uuid and campaign_id = $2::uuid and state = 'ready'
   order by priority desc, rank desc, id limit $6::int for update skip locked)
update crm.dial_entry e
   set state = 'claimed', claimed_by = $3::uuid, claimed_until = $4::timestamptz, updated_at = $5::timestamptz
  from r
 where e.tenant_id = $1::uuid and e.id = r.id
returning e.id, e.lead_id, e.contact_id, e.answer_p, e.priority, e.rank
"""


@operation("dialling.run")
async def claim(
    tx: Tx, campaign_id: UUID, by: UUID, *, at_most: int, until: datetime, now: datetime
) -> list[asyncpg.Record]:
    """Take the next leads of the hopper for a dialer until an instant, and return them in their order.

    Nobody else gets them meanwhile; those not dialled by then go back.
    """
    rows = await tx.fetch(CLAIM, tx.actor.tenant_id, campaign_id, by, until, now, at_most)
    tx.unchanged()  # taking is no change of anything that is told: what is dialled, or put off, is
    return sorted(rows, key=lambda row: (-row["priority"], -row["rank"], row["id"]))


@operation("dialling.run")
async def give_back(tx: Tx, entry_ids: Sequence[UUID], by: UUID, *, now: datetime) -> None:
    """Let go of leads that this dialer claimed and has not dialled."""
    await tx.execute(
        "update crm.dial_entry set state = 'ready', claimed_by = null, claimed_until = null,"
        " updated_at = $4::timestamptz where tenant_id = $1::uuid and id in (select unnest($2::uuid[]))"
        " and state = 'claimed' and claimed_by = $3::uuid",
        tx.actor.tenant_id, list(entry_ids), by, now,
    )  # fmt: skip
    tx.unchanged()
