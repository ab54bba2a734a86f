"""Writing down what people say about being contacted, and asking, before a contact, whether it may be.

Facts are never changed: a no after a yes is a fact of its own that names the one it takes back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import audit, codes, errors, events, ids, timeline, vault
from crm.consent import facts, last_word, queries
from crm.consent import reach as reachable
from crm.consent.facts import Fact
from crm.consent.queries import UnknownLead
from crm.consent.rules import ADDRESS, Answer, Channel, LegalBasis, Purpose, Status
from crm.contacts import sending
from crm.contacts.queries import require_visible
from crm.db import Tx
from crm.operation import operation
from crm.phone import Phone


class EvidenceMissing(errors.Invalid):
    """Who writes down a consent says how they know: the form's text, the answer, who heard it."""

    code = "consent.evidence_missing"


class BadValidity(errors.Invalid):
    """A word is valid from when it was said, which has been; a yes may lapse later, a no does not."""

    code = "consent.validity"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person said about one channel and purpose, and how we know.

    `source` is a code (`phone`, `web_form`, `paper`, `manual` …); `evidence` is kept scrubbed of numbers and addresses.
    `valid_from` (UTC) is when they said it (None: now), `valid_until` when a yes lapses (None: never; a no never does).
    """

    channel: Channel
    purpose: Purpose
    status: Status
    source: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    legal_basis: LegalBasis = LegalBasis.consent
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    lead_id: UUID | None = None


LAST = f"""
select f.id, f.status from crm.consent f
 where f.tenant_id = $1::uuid and f.contact_id = $2::uuid and f.channel = $3::text and f.purpose = $4::text
   and {last_word.holds("$5::timestamptz")}
 order by {last_word.ORDER} limit 1
"""


@operation("consent.record")
async def record(tx: Tx, contact_id: UUID, statement: Statement, *, now: datetime) -> UUID:
    """Write down what a person said and return the fact's id; what lists show of them follows.

    :raises crm.contacts.queries.ContactNotFound: when there is no such contact for the actor.
    :raises UnknownLead: when the lead is not one of theirs.
    :raises EvidenceMissing: when a consent comes without evidence.
    :raises BadValidity: when it was said in the future, lapses before it begins, or is a no that would lapse.
    :raises crm.codes.NotACode: when the source is none.
    """
    _require_sense(statement, now=now)
    await _lock(tx, contact_id, statement.lead_id)
    channel, purpose, status = statement.channel.value, statement.purpose.value, statement.status.value
    said_at = statement.valid_from or now
    last = await tx.fetchrow(LAST, tx.actor.tenant_id, contact_id, channel, purpose, said_at)
    takes_back = last["id"] if last and last["status"] == Status.granted and status != Status.granted else None
    fact = Fact(
        contact_id, statement.channel, statement.purpose, statement.status, statement.source,
        vault.scrub_all(statement.evidence), statement.legal_basis, statement.valid_from, statement.valid_until,
        takes_back, statement.lead_id,
    )  # fmt: skip
    [fact_id] = await facts.write(tx, [fact], now=now)
    told = {
        "consent_id": fact_id, "channel": channel, "purpose": purpose, "source": statement.source,
        "legal_basis": statement.legal_basis.value, "withdraws": takes_back,
    }  # fmt: skip
    happened = f"contact.consent_{status}"
    await timeline.record(
        tx, contact_id, happened, at=now, lead_id=statement.lead_id, channel=channel, detail=told
    )  # fmt: skip
    await events.record(tx, "contact", contact_id, happened, told, at=now)
    await audit.of_person(tx, "consent.record", "contact", contact_id, {**told, "status": status}, at=now)
    return fact_id


def _require_sense(statement: Statement, *, now: datetime) -> None:
    codes.require(source=statement.source)
    if statement.status is Status.granted and not statement.evidence:
        raise EvidenceMissing(fields={"evidence": "how we know: the form's text, the answer, who heard it"})
    said_at = statement.valid_from or now
    if said_at > now:
        raise BadValidity(fields={"valid_from": "lies in the future"})
    if statement.valid_until is not None and statement.status is not Status.granted:
        raise BadValidity(fields={"valid_until": "a refusal holds until the person says otherwise"})
    if statement.valid_until is not None and statement.valid_until <= said_at:
        raise BadValidity(fields={"valid_until": "later than valid_from"})


async def _lock(tx: Tx, contact_id: UUID, lead_id: UUID | None) -> None:
    """Lock a visible contact's row until the transaction ends; a lead that is named must be theirs."""
    await require_visible(tx, contact_id)
    await tx.execute(
        "select from crm.contact where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, contact_id,
    )  # fmt: skip
    if lead_id is not None and not await tx.fetchval(
        "select true from crm.lead where tenant_id = $1::uuid and id = $2::uuid and contact_id = $3::uuid",
        tx.actor.tenant_id, lead_id, contact_id,
    ):  # fmt: skip
        raise UnknownLead


KEEP = """
insert into crm.consent_check (tenant_id, id, contact_id, lead_id, channel, purpose, is_allowed, reason, evidence_kind,
                               evidence_id, actor_user_id, checked_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::text, $6::text, $7::boolean, $8::text, $9::text, $10::uuid,
        $11::uuid, $12::timestamptz)
"""


@operation("consent.check")
async def check(
    tx: Tx,
    contact_id: UUID,
    channel: Channel,
    purpose: Purpose,
    *,
    lead_id: UUID | None = None,
    number: Phone | None = None,
    now: datetime,
) -> tuple[UUID, Answer]:
    """Ask at the last moment whether a person may be contacted, keep the answer, and return it with its id.

    A no stands on the timeline, so that people see the attempt; a yes does not: the contact itself will.

    :raises crm.contacts.queries.ContactNotFound: when there is no such contact for the actor.
    :raises UnknownLead: when the lead is not one of theirs.
    """
    await _lock(tx, contact_id, lead_id)
    reach = None
    if number is None and ADDRESS[channel] == "phone":
        reach = await sending.say_of_number(tx, contact_id, reachable.of)
    found = await queries.may_contact(tx, contact_id, channel, purpose, at=now, number=number, reach=reach)
    check_id, evidence = ids.new(), found.evidence
    await tx.execute(
        KEEP, tx.actor.tenant_id, check_id, contact_id, lead_id, channel.value, purpose.value, found.is_allowed,
        found.reason and found.reason.value, evidence and evidence.kind, evidence and evidence.id, tx.actor.user_id,
        now,
    )  # fmt: skip
    told = {
        "check_id": check_id, "channel": channel.value, "purpose": purpose.value, "lead_id": lead_id,
        "reason": found.reason and found.reason.value, "evidence_kind": evidence and evidence.kind,
        "evidence_id": evidence and evidence.id,
    }  # fmt: skip
    happened = "contact.contact_allowed" if found.is_allowed else "contact.contact_denied"
    if found.reason is not None:
        await timeline.record(
            tx, contact_id, happened, at=now, lead_id=lead_id, channel=channel.value, outcome=found.reason.value,
            detail={"check_id": check_id, "purpose": purpose.value},
        )  # fmt: skip
    await events.record(tx, "contact", contact_id, happened, told, at=now)
    await audit.of_person(tx, "consent.check", "contact", contact_id, told, at=now)
    return check_id, found
