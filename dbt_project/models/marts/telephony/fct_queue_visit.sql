{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'call_id'],
    on_schema_change='append_new_columns',
    meta={'affected_by': ['stg_telephony__queue_visit_events']}
) }}

-- Each event is the whole state of its stay: the latest holds. An imported call may turn out to have had none.

with events as (

  select events.*
  from {{ ref('stg_telephony__queue_visit_events') }} as events
  where {{ is_affected('events') }}

),

latest as (

  select distinct on (tenant_id, call_id, visit_no) *
  from events
  order by tenant_id, call_id, visit_no, event_id desc

),

sources as (

  select
    tenant_id,
    call_id,
    max(recorded_at) as source_max_recorded_at,
    max(tx_id::text::bigint) as source_max_tx_id
  from events
  group by tenant_id, call_id

)

select
  latest.tenant_id,
  latest.call_id,
  latest.visit_no,
  latest.call_id::text || ':' || latest.visit_no as queue_visit_key,
  latest.queue_id,
  latest.queue,
  latest.agent_id,
  latest.outcome,
  latest.enqueued_at,
  (latest.enqueued_at at time zone latest.timezone)::date as enqueued_on,
  latest.timezone,
  latest.left_at,
  latest.connected_at,
  latest.ended_at,
  latest.wait_s,
  latest.ring_s,
  latest.talk_s,
  latest.sl_s,
  latest.short_s,
  latest.priority,
  latest.missed,
  latest.outcome = 'answered' and coalesce(latest.wait_s <= latest.sl_s, false) as in_sl,
  latest.outcome = 'abandoned' and latest.short_s > 0 and coalesce(latest.wait_s <= latest.short_s, false)
    as is_short_abandon,
  latest.outcome = 'abandoned' and coalesce(latest.wait_s <= latest.sl_s, false) as is_abandoned_in_sl,
  latest.in_hours,
  latest.is_test,
  latest.is_historical,
  sources.source_max_recorded_at,
  sources.source_max_tx_id
from latest
join sources using (tenant_id, call_id)
where latest.enqueued_at is not null
