"""The statement that stores leads: the same for one and for thousands, from whatever door they come.

It finds the person by exact keys, adds what is new, writes timeline, event, audit and the idempotent answer.
"""

SEPARATOR = "\x1f"
"""Between the items of a list travelling in one text argument (ASCII unit separator)."""

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
