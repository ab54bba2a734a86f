"""Storing leads: one statement for one or for thousands, from whatever door they come.

`prepare` does what needs no database (parsing, sealing, masking); `store` is the statement: it finds the person by
exact keys, adds what is new, writes timeline, event, audit and the idempotent answer. The same outside id again
changes nothing. Distribution is another transaction, later (docs/decisions).

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
from crm.operation import operation

SEPARATOR = "\x1f"
"""Between the items of a list travelling in one text argument (ASCII unit separator)."""


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


COLUMNS: dict[str, str] = {
    "lead_id": "uuid",
    "candidate": "uuid",
    "activity_id": "uuid",
    "name": "text",
    "name_search": "text",
    "country": "text",
    "language": "text",
    "key_id": "uuid",
    "phone_id": "uuid",
    "phone_index": "bytea",
    "phone_sealed": "bytea",
    "phone_masked": "text",
    "email_id": "uuid",
    "email_index": "bytea",
    "email_sealed": "bytea",
    "email_masked": "text",
    "consented": "text",
    "opted_out": "text",
    "consents": "jsonb",
    "source": "text",
    "external_id": "text",
    "content_hash": "bytea",
    "status": "text",
    "loss_reason": "text",
    "team_id": "uuid",
    "platform": "text",
    "campaign": "text",
    "adset": "text",
    "ad": "text",
    "form": "text",
    "keyword": "text",
    "geography": "text",
    "click_ids": "jsonb",
    "attributes": "jsonb",
    "tags": "text",
    "acquired_at": "timestamptz",
    "is_test": "boolean",
    "import_id": "uuid",
}
"""One prepared lead: the columns of the statement's input, in order, with their types."""

Prepared = tuple[Any, ...]

POSITION = {name: index for index, name in enumerate(COLUMNS)}
FIXED = 7
"""Arguments before the columns: tenant, person, trace, now, idempotency key, route, hash of the body."""


def _input() -> str:
    arrays = ", ".join(f"${FIXED + n}::{kind}[]" for n, kind in enumerate(COLUMNS.values(), start=1))
    return f"unnest({arrays}) with ordinality as i({', '.join(COLUMNS)}, n)"


# Look-ups stand as correlated subqueries, and rows carry what they need instead of being joined again: the plan is the
# same index look-ups for one lead and for thousands, whatever the planner knows of the tables.
STORE = f"""
with replay as (
  select response, body_hash, route from crm.idempotency_key
   where $5::text is not null and tenant_id = $1::uuid and user_id = $2::uuid and key = $5::text
), input as materialized (
  select i.*, l.id as existing_id, l.contact_id as existing_contact_id, l.content_hash as existing_hash,
         case when l.id is null then
           (select p.contact_id from crm.contact_point p
             where p.tenant_id = $1::uuid and p.kind = 'phone' and p.blind_index = i.phone_index) end as phone_of,
         case when l.id is null then
           (select p.contact_id from crm.contact_point p
             where p.tenant_id = $1::uuid and p.kind = 'email' and p.blind_index = i.email_index) end as email_of
    from {_input()}
    left join lateral (select l.id, l.contact_id, l.content_hash from crm.lead l
                        where l.tenant_id = $1::uuid and l.source = i.source and l.external_id = i.external_id
                        limit 1) l on true
   where not exists (select from replay)
), person as (
  select *, first_value(coalesce(phone_of, email_of)) over (
              partition by candidate order by coalesce(phone_of, email_of) is null, n) as known_id
    from input where existing_id is null
), fresh as materialized (
  select *, nth > 1 or coalesce(known_id is not null and (
           select max(earlier.received_at) from crm.lead earlier
            where earlier.tenant_id = $1::uuid and earlier.contact_id = p.known_id
           ) > $4::timestamptz - interval '24 hours', false) as is_duplicate
    from (select *, coalesce(known_id, candidate) as contact_id,
                 row_number() over (partition by coalesce(known_id, candidate) order by n) as nth
            from person) p
), whole as (
  select contact_id, known_id, (array_agg(name order by name = '', n))[1] as name,
         (array_agg(name_search order by name = '', n))[1] as name_search, max(country) as country,
         max(language) as language, max(phone_masked) as phone_masked, max(email_masked) as email_masked,
         string_to_array(string_agg(nullif(consented, ''), '{SEPARATOR}'), '{SEPARATOR}') as consented,
         string_to_array(string_agg(nullif(opted_out, ''), '{SEPARATOR}'), '{SEPARATOR}') as opted_out
    from fresh group by contact_id, known_id
), new_contact as (
  insert into crm.contact (tenant_id, id, name, name_search, country, language, phone_masked, email_masked,
                           consented, opted_out, created_at, updated_at)
  select $1::uuid, contact_id, name, name_search, country, language, phone_masked, email_masked,
         case when consented is null then '{{}}'
              else array(select unnest(consented) except select unnest(opted_out) order by 1) end,
         case when opted_out is null then '{{}}' else array(select distinct unnest(opted_out) order by 1) end,
         $4::timestamptz, $4::timestamptz
    from whole where known_id is null
), known_contact as (
  update crm.contact c
     set phone_masked = coalesce(c.phone_masked, k.phone_masked),
         email_masked = coalesce(c.email_masked, k.email_masked),
         name = case when c.name = '' then k.name else c.name end,
         name_search = case when c.name = '' then k.name_search else c.name_search end,
         opted_out = array(select distinct unnest(c.opted_out || k.opted_out) order by 1),
         consented = array(select unnest(c.consented || k.consented) except select unnest(c.opted_out || k.opted_out)
                           order by 1),
         archived_at = null, updated_at = $4::timestamptz
    from (select *, (select known.ctid from crm.contact known
                      where known.tenant_id = $1::uuid and known.id = whole.known_id) as place
            from whole where known_id is not null offset 0) k
   where c.ctid = k.place
), new_point as (
  insert into crm.contact_point (tenant_id, id, contact_id, kind, key_id, sealed, blind_index, masked, created_at)
  select $1::uuid, id, contact_id, kind, key_id, sealed, blind_index, masked, $4::timestamptz
    from (select p.*, f.contact_id, f.key_id,
                 row_number() over (partition by p.kind, p.blind_index order by f.n) as nth
            from fresh f,
                 lateral (values (f.phone_of, f.phone_id, 'phone', f.phone_sealed, f.phone_index, f.phone_masked),
                                 (f.email_of, f.email_id, 'email', f.email_sealed, f.email_index, f.email_masked))
                         as p(belongs_to, id, kind, sealed, blind_index, masked)
           where p.id is not null and p.belongs_to is null) p
   where nth = 1
), new_consent as (
  insert into crm.consent (tenant_id, id, contact_id, channel, status, source, evidence, recorded_at)
  select $1::uuid, gen_random_uuid(), contact_id, c.channel, c.status, source, c.evidence, $4::timestamptz
    from fresh, jsonb_to_recordset(consents) as c(channel text, status text, evidence jsonb)
   where consents is not null
), new_lead as (
  insert into crm.lead (tenant_id, id, contact_id, status, loss_reason, team_id, source, external_id, content_hash,
                        platform, campaign, adset, ad, form, keyword, geography, click_ids, attributes, tags,
                        acquired_at, acquired_at_known, received_at, status_changed_at, is_test, is_duplicate,
                        import_id, created_at, updated_at)
  select $1::uuid, lead_id, contact_id, status, loss_reason, team_id, source, external_id, content_hash,
         platform, campaign, adset, ad, form, keyword, geography, coalesce(click_ids, '{{}}'),
         coalesce(attributes, '{{}}'), string_to_array(tags, '{SEPARATOR}'),
         coalesce(acquired_at, $4::timestamptz), acquired_at is not null, $4::timestamptz, $4::timestamptz,
         is_test, is_duplicate,
         import_id, $4::timestamptz, $4::timestamptz
    from fresh
), new_activity as (
  insert into crm.activity (tenant_id, id, contact_id, lead_id, kind, detail, actor_user_id, occurred_at, created_at)
  select $1::uuid, activity_id, contact_id, lead_id, 'lead.created',
         jsonb_build_object('status', status, 'source', source, 'platform', platform, 'cycle_no', 1),
         $2::uuid, $4::timestamptz, $4::timestamptz
    from fresh
), new_event as (
  insert into crm.event_log (tenant_id, aggregate_type, aggregate_id, event_type, payload_json, occurred_at,
                             actor_user_id, causation_id)
  select $1::uuid, 'lead', lead_id, 'lead.created',
         jsonb_build_object('contact_id', contact_id, 'status', status, 'source', source, 'platform', platform,
           'campaign', campaign, 'adset', adset, 'ad', ad, 'form', form,
           'acquired_at', coalesce(acquired_at, $4::timestamptz), 'acquired_at_known', acquired_at is not null,
           'received_at', $4::timestamptz, 'is_test', is_test, 'is_duplicate', is_duplicate,
           'loss_reason', loss_reason, 'cycle_no', 1, 'import_id', import_id)
           || case when email_of <> contact_id then jsonb_build_object('other_contact_id', email_of)
                   when phone_of <> contact_id then jsonb_build_object('other_contact_id', phone_of)
                   else '{{}}' end,
         $4::timestamptz, $2::uuid, $3::uuid
    from fresh
), new_audit as (
  insert into crm.audit_log (tenant_id, actor_user_id, action, target_type, target_id, metadata_json, created_at)
  select $1::uuid, $2::uuid, case when import_id is null then 'lead.create' else 'lead.import' end,
         case when import_id is null then 'lead' else 'import_run' end, coalesce(import_id, lead_id),
         jsonb_build_object('leads', leads, 'trace_id', replace($3::uuid::text, '-', '')), $4::timestamptz
    from (select import_id, lead_id, count(*) over (partition by import_id, case when import_id is null then n end)
                   as leads, row_number() over (partition by import_id order by n) as nth_of_import from fresh) s
   where $2::uuid is not null and (import_id is null or nth_of_import = 1)
), answer as (
  select n, existing_id as lead_id, existing_contact_id as contact_id, status, phone_masked, email_masked,
         case when existing_hash is not distinct from content_hash then 'unchanged' else 'changed' end as outcome,
         false as is_duplicate
    from input where existing_id is not null
  union all
  select n, lead_id, contact_id, status, phone_masked, email_masked,
         case when known_id is null and nth = 1 then 'created' else 'merged' end, is_duplicate
    from fresh
), body as (
  select n, case when (select count(*) from input) = 1 then
           jsonb_build_object('id', lead_id, 'contact_id', contact_id, 'outcome', outcome, 'status', status,
           'is_duplicate', is_duplicate, 'phone_masked', phone_masked, 'email_masked', email_masked,
           'received_at', $4::timestamptz) end as response, lead_id, contact_id, outcome
    from answer
), remembered as (
  insert into crm.idempotency_key (tenant_id, user_id, key, route, body_hash, status_code, response, created_at)
  select $1::uuid, $2::uuid, $5::text, $6::text, $7::bytea, 201, response, $4::timestamptz
    from body where $5::text is not null
)
select n, lead_id, contact_id, outcome, response::text as response, false as replayed, null::bytea as body_hash,
       null::text as route
  from body
union all
select 1, null, null, 'replayed', response::text, true, body_hash, route from replay
order by n
"""


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
        lead.campaign,
        lead.adset,
        lead.ad,
        lead.form,
        lead.keyword,
        lead.geography,
        to_json(lead.click_ids) if lead.click_ids else None,
        to_json({name: vault.scrub(value) for name, value in lead.attributes.items()}) if lead.attributes else None,
        SEPARATOR.join(lead.tags),
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
