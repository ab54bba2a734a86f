{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'clock_id'],
    meta={'affected_by': ['stg_crm__sla_events']},
    on_schema_change='append_new_columns'
) }}

-- Every event of a clock says how it stands as a whole: the latest one is the clock.

with latest as (

  select distinct on (events.tenant_id, events.clock_id) events.*
  from {{ unpacked('stg_crm__sla_events') }} as events
  where {{ is_affected('events') }}
  order by events.tenant_id, events.clock_id, events.event_id desc

)

select
  latest.tenant_id,
  latest.clock_id,
  latest.lead_id,
  latest.cycle_no,
  latest.lead_id::text || ':' || latest.cycle_no as lead_cycle_key,
  latest.kind,
  latest.state,
  latest.end_reason,
  latest.rule_version,
  latest.rule_code,
  latest.time_basis,
  latest.target_s,
  latest.team_id,
  latest.check_in_id,
  latest.status,
  latest.started_at,
  (latest.started_at at time zone tenants.timezone)::date as started_on,
  latest.due_at,
  latest.breached_at,
  latest.ended_at,
  paused.seconds as paused_s,
  latest.late_by_s::numeric(18, 6) as late_by_s,
  latest.recorded_at as source_max_recorded_at,
  latest.tx_id::text::bigint as source_max_tx_id
from latest
join {{ ref('stg_crm__tenants') }} as tenants on tenants.tenant_id = latest.tenant_id
join lateral (
  select
    coalesce(
      sum(extract(epoch from (pause.value ->> 1)::timestamptz - (pause.value ->> 0)::timestamptz)), 0
    )::numeric(18, 6) as seconds
  from jsonb_array_elements(latest.pauses) as pause
) as paused on true
where latest.event_type = 'sla_clock.stated'
