"""Writing facts into the ledger, for every operation that learns what people said (a person, a file).

They are only ever added, and what lists show of the people is derived anew with them. Intake alone writes its facts by
itself: they are part of the one statement that stores a lead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import ids
from crm.consent import standing
from crm.consent.rules import Channel, LegalBasis, Purpose, Status
from crm.db import Tx, to_json

WRITE = """
insert into crm.consent (tenant_id, id, contact_id, channel, purpose, status, source, evidence, legal_basis, valid_from,
                         valid_until, withdraws, lead_id, recorded_by, recorded_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text, $7::text, $8::jsonb, $9::text, $10::timestamptz,
        $11::timestamptz, $12::uuid, $13::uuid, $14::uuid, $15::timestamptz)
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of the ledger; `evidence` is scrubbed already. Who recorded it and when comes from the transaction."""

    contact_id: UUID
    channel: Channel
    purpose: Purpose
    status: Status
    source: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    legal_basis: LegalBasis = LegalBasis.consent
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    withdraws: UUID | None = None
    lead_id: UUID | None = None


async def write(tx: Tx, wanted: Sequence[Fact], *, now: datetime) -> list[UUID]:
    """Add facts and return their ids; the hints of the people they are about follow."""
    made = [ids.new() for _ in wanted]
    await tx.executemany(
        WRITE,
        [
            (tx.actor.tenant_id, fact_id, each.contact_id, each.channel.value, each.purpose.value, each.status.value,
             each.source, to_json(each.evidence), each.legal_basis.value, each.valid_from, each.valid_until,
             each.withdraws, each.lead_id, tx.actor.user_id, now)
            for fact_id, each in zip(made, wanted, strict=True)
        ],
    )  # fmt: skip
    await standing.refresh(tx, {each.contact_id for each in wanted}, now=now)
    return made
