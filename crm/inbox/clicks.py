"""Clicks behind Google's leads: the source tells keyword and place of a click only later, and only when it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from crm import events
from crm.db import Tx
from crm.inbox.reading import Reading
from crm.leads import attribution
from crm.leads.intake import NewLead, Stored
from crm.operation import operation

PAUSES = tuple(timedelta(hours=hours) for hours in (1, 3, 6, 12, 24, 24))
"""How long until a click that was not there yet is looked for again; Google reports clicks within a day or so."""
FIRST_LOOK = timedelta(minutes=30)
LEASE = timedelta(minutes=10)
"""How long whoever took clicks has for them."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A lead whose click is looked for; `clicked_on` is the UTC day on which its form was sent."""

    lead_id: UUID
    gclid: str
    clicked_on: date
    attempts: int


async def want(
    tx: Tx, connection_id: UUID, reading: Reading, stored: Sequence[tuple[NewLead, Stored]], *, now: datetime
) -> None:
    """Note which clicks are to be looked up for leads that were just stored."""
    rows = [
        (outcome.lead_id, reading.clicks[lead.external_id], (lead.acquired_at or now).date())
        for lead, outcome in stored
        if lead.external_id in reading.clicks and outcome.outcome in ("created", "merged") and not lead.keyword
    ]
    if not rows:
        return
    await tx.execute(
        """insert into crm.click_lookup (tenant_id, lead_id, connection_id, gclid, clicked_on, next_attempt_at,
                                         created_at)
           select $1::uuid, i.lead_id, $2::uuid, i.gclid, i.clicked_on, $3::timestamptz, $4::timestamptz
             from unnest($5::uuid[], $6::text[], $7::date[]) as i(lead_id, gclid, clicked_on)
           on conflict (tenant_id, lead_id) do nothing""",
        tx.actor.tenant_id, connection_id, now + FIRST_LOOK, now, *map(list, zip(*rows, strict=True)),
    )  # fmt: skip


async def waiting(tx: Tx, *, now: datetime) -> list[UUID]:
    """Return the connections that have clicks to look up now and whose source may be asked."""
    rows = await tx.fetch(
        """select distinct c.connection_id from crm.click_lookup c
            where c.tenant_id = $1::uuid and c.next_attempt_at <= $2::timestamptz
              and not exists (select from crm.connection_health h where h.tenant_id = $1::uuid
                                 and h.connection_id = c.connection_id and h.blocked_until > $2::timestamptz)""",
        tx.actor.tenant_id, now,
    )  # fmt: skip
    return [row["connection_id"] for row in rows]


async def due(tx: Tx, connection_id: UUID, *, at_most: int, now: datetime) -> list[Lookup]:
    """Take clicks whose turn has come. A turn counts when the source has answered (`missed`): whoever dies over them,
    or is not answered, leaves them to be taken again.
    """
    rows = await tx.fetch(
        """with due as (
             select lead_id from crm.click_lookup
              where tenant_id = $1::uuid and connection_id = $2::uuid and next_attempt_at <= $3::timestamptz
              order by clicked_on, next_attempt_at limit $4::int for update skip locked)
           update crm.click_lookup c set next_attempt_at = $5::timestamptz
             from due where c.tenant_id = $1::uuid and c.lead_id = due.lead_id
           returning c.lead_id, c.gclid, c.clicked_on, c.attempts""",
        tx.actor.tenant_id, connection_id, now, at_most, now + LEASE,
    )  # fmt: skip
    return [Lookup(*row) for row in rows]


@operation("inbox.process")
async def found(tx: Tx, lead_id: UUID, *, keyword: str | None, geography: str | None, now: datetime) -> None:
    """Complete a lead by what its click tells; what is known of the lead already stays."""
    await attribution.complete(tx, lead_id, keyword=keyword, geography=geography, now=now)
    await _forget(tx, lead_id)
    detail = {"has_keyword": keyword is not None, "has_geography": geography is not None}
    await events.record(tx, "lead", lead_id, "lead.click_found", detail, at=now)


@operation("inbox.process")
async def missed(tx: Tx, lookup: Lookup, *, now: datetime) -> None:
    """Look for a click that the source does not know yet again at its next turn, or give it up after the last."""
    if lookup.attempts < len(PAUSES):
        await tx.execute(
            """update crm.click_lookup set attempts = $3::int + 1, next_attempt_at = $4::timestamptz
                where tenant_id = $1::uuid and lead_id = $2::uuid""",
            tx.actor.tenant_id, lookup.lead_id, lookup.attempts, now + PAUSES[lookup.attempts],
        )  # fmt: skip
        tx.unchanged()  # a turn, which is no news to anybody
        return
    await _forget(tx, lookup.lead_id)
    await events.record(tx, "lead", lookup.lead_id, "lead.click_unknown", {"attempts": lookup.attempts}, at=now)


async def _forget(tx: Tx, lead_id: UUID) -> None:
    await tx.execute(
        "delete from crm.click_lookup where tenant_id = $1::uuid and lead_id = $2::uuid", tx.actor.tenant_id, lead_id
    )
