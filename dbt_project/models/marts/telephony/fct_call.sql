{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'call_id'],
    on_schema_change='append_new_columns',
    meta={'affected_by': ['stg_telephony__call_events', 'stg_telephony__queue_visit_events', 'int_call_wrap_up']}
) }}

-- depends_on: {{ ref('stg_telephony__queue_visit_events') }}, {{ ref('int_call_wrap_up') }}
-- Each event says how its call stands: the latest holds. What only some of them tell (legs, what was said of it) is
-- told by the latest that does.

with events as (

  select events.*
  from {{ unpacked('stg_telephony__call_events') }} as events
  where {{ is_affected('events') }}

),

latest as (

  select distinct on (tenant_id, call_id) *
  from events
  order by tenant_id, call_id, event_id desc

),

told as (

  select
    tenant_id,
    call_id,
    min(occurred_at) as first_at,
    max(ended_at) as ended_at,
    bool_or(event_type = 'call.denied') as is_denied,
    bool_or(is_historical) as is_historical,
    (array_agg(legs order by event_id desc) filter (where legs is not null))[1] as legs,
    (array_agg(disposition order by event_id desc) filter (where event_type = 'call.dispositioned'))[1] as disposition,
    (array_agg(disposition_party order by event_id desc) filter (where event_type = 'call.dispositioned'))[1]
      as disposition_party,
    (array_agg(is_disposition_forced order by event_id desc) filter (where event_type = 'call.dispositioned'))[1]
      as is_disposition_forced,
    max(recorded_at) as recorded_at,
    max(tx_id::text::bigint) as tx_id
  from events
  group by tenant_id, call_id

),

joined as (

  select
    latest.*,
    told.first_at,
    coalesce(latest.ended_at, told.ended_at) as told_ended_at,
    told.is_denied,
    told.disposition as said,
    told.disposition_party as said_party,
    told.is_disposition_forced as said_forced,
    parts.handled_legs,
    parts.agents_talk_s,
    parts.agents_hold_s,
    parts.is_transferred_warm,
    parts.is_transferred_blind,
    wraps.wrap_s,
    visits.queue_id as first_queue_id,
    visits.queue as first_queue,
    visits.outcome as first_outcome,
    tests.is_test,
    coalesce(latest.timezone, visits.timezone, tenants.timezone) as zone,
    coalesce(latest.started_at, latest.requested_at, told.first_at) as began_at,
    greatest(told.recorded_at, wraps.recorded_at, visits.source_max_recorded_at) as source_max_recorded_at,
    greatest(told.tx_id, wraps.tx_id, visits.source_max_tx_id) as source_max_tx_id
  from latest
  join told using (tenant_id, call_id)
  join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
  left join {{ ref('fct_queue_visit') }} as visits
    on visits.tenant_id = latest.tenant_id and visits.call_id = latest.call_id and visits.visit_no = 1
  -- Looked up call by call: how many there are is not known beforehand, and each is found by an index.
  join lateral (
    select
      -- Of another system's calls its own word holds: whoever answered has handled them.
      count(*) filter (
        where told.is_historical or (leg.value ->> 'talk_s')::numeric >= {{ var('audible_s') }}
      )::int as handled_legs,
      sum((leg.value ->> 'talk_s')::numeric(18, 6)) as agents_talk_s,
      sum((leg.value ->> 'hold_s')::numeric(18, 6)) as agents_hold_s,
      bool_or(leg.value ->> 'transfer' = 'attended') as is_transferred_warm,
      bool_or(leg.value ->> 'transfer' = 'blind') as is_transferred_blind
    from jsonb_array_elements(told.legs) as leg
    where leg.value ->> 'party' = 'agent'
  ) as parts on true
  join lateral (
    select
      sum(wrap_ups.wrap_s) as wrap_s,
      max(wrap_ups.recorded_at) as recorded_at,
      max(wrap_ups.source_max_tx_id) as tx_id
    from {{ ref('int_call_wrap_up') }} as wrap_ups
    where wrap_ups.tenant_id = latest.tenant_id and wrap_ups.call_id = latest.call_id
  ) as wraps on true
  join lateral (
    select bool_or(leads.is_test) as is_test
    from {{ ref('stg_crm__lead_events') }} as leads
    where leads.tenant_id = latest.tenant_id and leads.lead_id = latest.lead_id and leads.event_type = 'lead.created'
  ) as tests on true

)

select
  tenant_id,
  call_id,
  direction,
  purpose,
  case when is_denied then 'denied' when told_ended_at is null then 'going_on' else 'ended' end as status,
  outcome,
  failure,
  cause,
  verdict,
  lead_id,
  contact_id,
  agent_id,
  outside_agent_id,
  queue,
  first_queue_id,
  first_queue,
  first_outcome,
  campaign_id,
  callback_id,
  said as disposition,
  said_party as disposition_party,
  coalesce(said_forced, false) as is_disposition_forced,
  coalesce(requested_at, first_at) as requested_at,
  began_at as started_at,
  (began_at at time zone zone)::date as started_on,
  zone as timezone,
  answered_at,
  connected_at,
  told_ended_at as ended_at,
  ring_s,
  coalesce(talk_s, 0)::numeric(18, 6) as talk_s,
  coalesce(hold_s, 0)::numeric(18, 6) as hold_s,
  coalesce(agents_talk_s, 0)::numeric(18, 6) as agents_talk_s,
  coalesce(agents_hold_s, 0)::numeric(18, 6) as agents_hold_s,
  coalesce(wrap_s, 0)::numeric(18, 6) as wrap_s,
  coalesce(handled_legs, 0) as handled_legs,
  coalesce(handled_legs, 0) > 0 as is_handled,
  coalesce(is_transferred_warm, false) as is_transferred_warm,
  coalesce(is_transferred_blind, false) as is_transferred_blind,
  coalesce(is_test, false) as is_test,
  is_historical,
  source_max_recorded_at,
  source_max_tx_id
from joined
