"""A row that says something new about a lead that is known: what changed is taken over, its status by the rules."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, events, timeline, vault
from crm.consent import facts
from crm.consent.facts import Fact
from crm.consent.rules import Channel, Purpose
from crm.consent.rules import Status as Said
from crm.db import Tx, to_json
from crm.leads import lifecycle, operations
from crm.leads.intake import Consent, NewLead, Prepared
from crm.leads.rules import Status
from crm.leads.storing import POSITION
from crm.operation import operation

POINT = ("id", "sealed", "index", "masked")
PLAIN = ("platform", "campaign", "adset", "ad", "form", "keyword", "geography")
NEVER_BY_FILE = frozenset({Status.new, Status.assigned})
"""Where a file never takes a lead back to: it has been distributed and perhaps worked since."""
REASON = "imported"
"""The reason of a loss when the file gives none."""

REPLACE = f"""
update crm.lead
   set {", ".join(f"{name} = ${n}::text" for n, name in enumerate(PLAIN, start=8))},
       attributes = $3::jsonb, tags = $4::text[], content_hash = $5::bytea,
       acquired_at = coalesce($6::timestamptz, acquired_at), acquired_at_known = acquired_at_known or $6 is not null,
       updated_at = $7::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""

ADD_POINT = """
insert into crm.contact_point (tenant_id, id, contact_id, kind, key_id, sealed, blind_index, masked, created_at)
select $1::uuid, $2::uuid, $3::uuid, $4::text, $5::uuid, $6::bytea, $7::bytea, $8::text, $9::timestamptz
 where not exists (select from crm.contact_point
                    where tenant_id = $1::uuid and kind = $4::text and blind_index = $7::bytea)
"""


@operation("lead.edit")
async def update(tx: Tx, lead_id: UUID, contact_id: UUID, lead: NewLead, prepared: Prepared, *, now: datetime) -> None:
    """Take over what a source now says about a lead it told of before.

    The person's name stays; a phone or an e-mail that nobody has is added. A status the rules do not allow from where
    the lead stands is left alone.
    """
    row = await tx.fetchrow(
        "select l.*, c.consented, c.opted_out from crm.lead l"
        " join crm.contact c on c.tenant_id = l.tenant_id and c.id = l.contact_id"
        " where l.tenant_id = $1::uuid and l.id = $2::uuid for update",
        tx.actor.tenant_id, lead_id,
    )  # fmt: skip
    assert row is not None, "the statement that stores has just seen it"
    attributes = {name: vault.scrub(text) for name, text in lead.attributes.items()}
    plain = {name: prepared[POSITION[name]] for name in PLAIN}
    fields = [name for name, value in plain.items() if row[name] != value]
    fields += [name for name, value in (("attributes", attributes), ("tags", list(lead.tags))) if row[name] != value]
    if lead.acquired_at is not None and lead.acquired_at != row["acquired_at"]:
        fields.append("acquired_at")
    await tx.execute(
        REPLACE, tx.actor.tenant_id, lead_id, to_json(attributes), list(lead.tags), lead.content_hash,
        lead.acquired_at, now, *plain.values(),
    )  # fmt: skip
    fields += await _add_points(tx, contact_id, prepared, now=now)
    fields += await _say(tx, contact_id, row, lead, now=now)
    told: dict[str, Any] = {"fields": fields, "import_id": lead.import_id}
    await timeline.record(tx, contact_id, "lead.updated", at=now, lead_id=lead_id, detail=told)
    await events.record(tx, "lead", lead_id, "lead.updated", {**told, "has_note": False}, at=now)
    await audit.of_person(tx, "lead.update", "lead", lead_id, told, at=now)
    await _move(tx, lead_id, Status(row["status"]), lead, now=now)


async def _move(tx: Tx, lead_id: UUID, current: Status, lead: NewLead, *, now: datetime) -> None:
    """Follow the file where the tenant's machine has a way; what it tells of the past is asked for nothing more."""
    machine = await lifecycle.of(tx, at=now)
    if lead.status in NEVER_BY_FILE or not machine.may_become(current, lead.status):
        return
    reason = lead.loss_reason or (REASON if lead.status is Status.lost else None)
    await operations.change_status(tx, lead_id, lead.status, reason=reason, is_told=True, now=now)


async def _add_points(tx: Tx, contact_id: UUID, prepared: Prepared, *, now: datetime) -> list[str]:
    """Add the row's phone and e-mail to the person where nobody has them; return which were added."""
    added = []
    for kind in ("phone", "email"):
        point_id, sealed, index, masked = (prepared[POSITION[f"{kind}_{part}"]] for part in POINT)
        if point_id is None:
            continue
        done = await tx.execute(
            ADD_POINT, tx.actor.tenant_id, point_id, contact_id, kind, prepared[POSITION["key_id"]], sealed, index,
            masked, now,
        )  # fmt: skip
        if done == "INSERT 0 1":
            await tx.execute(
                f"update crm.contact set {kind}_masked = coalesce({kind}_masked, $3::text)"
                " where tenant_id = $1::uuid and id = $2::uuid",
                tx.actor.tenant_id, contact_id, masked,
            )  # fmt: skip
            added.append(kind)
    return added


async def _say(tx: Tx, contact_id: UUID, row: asyncpg.Record, lead: NewLead, *, now: datetime) -> list[str]:
    """Record what the row says about channels and was not said before; return which channels."""
    before = {"granted": row["consented"], "denied": row["opted_out"]}
    news: list[Consent] = [each for each in lead.consents if each.channel not in before[each.status]]
    if not news:
        return []
    said = [
        Fact(contact_id, Channel(each.channel), Purpose.marketing, Said(each.status), lead.source, each.shown)
        for each in news
    ]
    await facts.write(tx, said, now=now)
    return [f"consent.{each.channel}" for each in news]
