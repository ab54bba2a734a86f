"""Storing leads, from whatever door they come.

`prepare` does what needs no database (parsing, sealing, masking); `store` is one statement (`crm.leads.storing`). The
same outside id again changes nothing. Distribution is another transaction, later (docs/decisions).

A lead begins in whatever status its source says it has: it arrives there, it does not move there, so the tenant's
status machine is not asked; from then on it is (`crm.imports.known`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import ids, names, phone, vault
from crm.db import Tx, to_json
from crm.idempotency import Idempotency
from crm.leads.rules import Status
from crm.leads.storing import POSITION, SEPARATOR, STORE
from crm.operation import operation


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person said about one channel: `granted` or `denied`, with its evidence (form text, answer, time)."""

    channel: str
    status: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> Mapping[str, Any]:
        """The evidence as it is kept beside the fact: scrubbed; the inbox keeps what arrived, sealed."""
        scrubbed: Mapping[str, Any] = vault.scrub_all(self.evidence)
        return scrubbed


@dataclass(frozen=True, slots=True)
class NewLead:
    """One enquiry as a door understood it. Instants are UTC; `acquired_at` None means the source does not know it."""

    source: str
    name: str = ""
    phone: str = ""
    email: str = ""
    country: str = ""
    language: str | None = None
    external_id: str | None = None
    content_hash: bytes | None = None
    status: Status = Status.new
    loss_reason: str | None = None
    team_id: UUID | None = None
    platform: str = "unknown"
    campaign: str | None = None
    adset: str | None = None
    ad: str | None = None
    form: str | None = None
    keyword: str | None = None
    geography: str | None = None
    click_ids: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    consents: Sequence[Consent] = ()
    acquired_at: datetime | None = None
    is_test: bool = False
    import_id: UUID | None = None


Prepared = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one lead: `created` (a new person), `merged` (a person known before), `unchanged` (the same
    outside id with the same content), `changed` (the same outside id with other content: nothing was written), or
    `replayed` (the idempotency key's first answer). `response` is the answer's JSON text, empty for one of several."""

    lead_id: UUID
    contact_id: UUID
    outcome: str
    response: str


def prepare(tenant_id: UUID, lead: NewLead, key: vault.DataKey, *, now: datetime) -> Prepared:
    """Return one lead as the statement takes it: numbers parsed, personal data sealed under `key`, text scrubbed.

    :raises crm.phone.NotAPhone: when there is a phone and it cannot be dialled.
    """
    number, region, masked = phone.read(lead.phone, country=lead.country or "TR") if lead.phone else (None, None, None)
    email = lead.email.strip().lower()
    granted = [consent.channel for consent in lead.consents if consent.status == "granted"]
    denied = [consent.channel for consent in lead.consents if consent.status == "denied"]
    return (
        ids.new(),
        ids.new(),
        ids.new(),
        lead.name,
        names.fold(lead.name),
        lead.country or region,
        lead.language,
        key.id,
        ids.new() if number else None,
        vault.blind_index(tenant_id, "phone", number) if number else None,
        key.seal(number) if number else None,
        masked,
        ids.new() if email else None,
        vault.blind_index(tenant_id, "email", email) if email else None,
        key.seal(email) if email else None,
        vault.mask_email(email) if email else None,
        SEPARATOR.join(granted),
        SEPARATOR.join(denied),
        to_json([{"channel": c.channel, "status": c.status, "evidence": c.shown} for c in lead.consents])
        if lead.consents
        else None,
        lead.source,
        lead.external_id,
        lead.content_hash,
        lead.status.value,
        lead.loss_reason,
        lead.team_id,
        lead.platform,
        *map(vault.scrub_label, (lead.campaign, lead.adset, lead.ad, lead.form, lead.keyword, lead.geography)),
        to_json(lead.click_ids) if lead.click_ids else None,
        to_json({name: vault.scrub(value) for name, value in lead.attributes.items()}) if lead.attributes else None,
        SEPARATOR.join(map(vault.scrub, lead.tags)),
        lead.acquired_at,
        lead.is_test,
        lead.import_id,
    )


def one_person_once(rows: Sequence[Prepared]) -> list[Prepared]:
    """Give rows of one batch that share a phone or an e-mail the same candidate person."""
    if len(rows) == 1:
        return list(rows)
    by_key: dict[bytes, UUID] = {}
    united: list[Prepared] = []
    candidate_at, phone_at, email_at = (POSITION[name] for name in ("candidate", "phone_index", "email_index"))
    for row in rows:
        keys = [key for key in (row[phone_at], row[email_at]) if key]
        candidate = next((by_key[key] for key in keys if key in by_key), row[candidate_at])
        for key in keys:
            by_key.setdefault(key, candidate)
        united.append(
            row if candidate is row[candidate_at] else (*row[:candidate_at], candidate, *row[candidate_at + 1 :])
        )
    return united


@operation("lead.create")
async def store(
    tx: Tx, rows: Sequence[Prepared], *, now: datetime, idempotency: Idempotency | None = None
) -> list[Stored]:
    """Store prepared leads in one statement and return what became of each, in their order.

    Rows of one call must not repeat an outside id. An idempotency key goes with a single lead only; a replay returns
    the first answer under the outcome `replayed`. A person's import writes one audit row a call, others one a lead.

    :raises crm.idempotency.KeyReused: when the key was used before with another body or route.
    """
    actor = tx.actor
    fixed = (
        actor.tenant_id, actor.user_id, actor.trace_id, now,
        idempotency and idempotency.key, idempotency and idempotency.route, idempotency and idempotency.body_hash,
    )  # fmt: skip
    found = await tx.fetch(STORE, *fixed, *zip(*one_person_once(rows), strict=True))
    if found and found[0]["replayed"]:
        assert idempotency is not None
        idempotency.require_same(found[0])
        tx.unchanged()
        return [Stored(ids.NOBODY, ids.NOBODY, "replayed", found[0]["response"])]
    written = sum(row["outcome"] in ("created", "merged") for row in found)
    tx.recorded(events=written, audits=written if actor.user_id else 0)
    if not written:
        tx.unchanged()
    return [Stored(row["lead_id"], row["contact_id"], row["outcome"], row["response"] or "") for row in found]


async def create(tx: Tx, lead: NewLead, *, now: datetime, idempotency: Idempotency | None = None) -> Stored:
    """Store one lead; see `store`.

    :raises crm.phone.NotAPhone: when there is a phone and it cannot be dialled.
    """
    return (await create_many(tx, [lead], now=now, idempotency=idempotency))[0]


async def create_many(
    tx: Tx, leads: Iterable[NewLead], *, now: datetime, idempotency: Idempotency | None = None
) -> list[Stored]:
    """Store several leads with fresh keys; see `store`."""
    wanted = list(leads)
    fresh = await vault.take(tx.actor.tenant_id, len(wanted))
    rows = [prepare(tx.actor.tenant_id, lead, key, now=now) for lead, key in zip(wanted, fresh, strict=True)]
    return await store(tx, rows, now=now, idempotency=idempotency)
