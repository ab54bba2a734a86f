{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'callback_id'],
    on_schema_change='append_new_columns',
    meta={'affected_by': ['stg_telephony__callback_events']}
) }}

-- Each event says how its callback stands: the latest holds.

with events as (

  select events.*
  from {{ unpacked('stg_telephony__callback_events') }} as events
  where {{ is_affected('events') }}

),

latest as (

  select distinct on (tenant_id, callback_id) *
  from events
  order by tenant_id, callback_id, event_id desc

),

sources as (

  select
    tenant_id,
    callback_id,
    max(recorded_at) as source_max_recorded_at,
    max(tx_id::text::bigint) as source_max_tx_id
  from events
  group by tenant_id, callback_id

)

select
  latest.tenant_id,
  latest.callback_id,
  latest.contact_id,
  latest.lead_id,
  latest.agent_id,
  latest.source_call_id,
  latest.kind,
  latest.queue,
  latest.status,
  latest.reason,
  latest.attempts,
  latest.requested_at,
  (latest.requested_at at time zone coalesce(versions.timezone, tenants.timezone))::date as requested_on,
  latest.promised_from,
  latest.promised_until,
  latest.first_attempt_at,
  latest.reached_at,
  latest.ended_at,
  extract(epoch from latest.first_attempt_at - latest.requested_at)::numeric(18, 6) as wait_s,
  coalesce(latest.reached_at <= latest.promised_until, false) as is_kept,
  latest.status = 'cancelled' and coalesce(latest.reason = 'customer', false) as is_cancelled_by_customer,
  coalesce(tests.is_test, false) as is_test,
  sources.source_max_recorded_at,
  sources.source_max_tx_id
from latest
join sources using (tenant_id, callback_id)
join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
left join {{ ref('dim_queue') }} as queues using (tenant_id, queue)
left join {{ ref('dim_queue_version') }} as versions
  on versions.tenant_id = latest.tenant_id
  and versions.queue_id = queues.queue_id
  and latest.requested_at >= versions.valid_from
  and latest.requested_at < coalesce(versions.valid_to, 'infinity'::timestamptz)
join lateral (
  select bool_or(leads.is_test) as is_test
  from {{ ref('stg_crm__lead_events') }} as leads
  where leads.tenant_id = latest.tenant_id and leads.lead_id = latest.lead_id and leads.event_type = 'lead.created'
) as tests on true
