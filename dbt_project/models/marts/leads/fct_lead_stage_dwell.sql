{{ config(materialized='view') }}

select
  intervals.tenant_id,
  intervals.lead_cycle_key,
  intervals.lead_id::text || ':' || intervals.interval_no as stage_dwell_key,
  intervals.stage,
  cycles.received_on,
  coalesce(
    intervals.seconds, greatest(extract(epoch from known.as_of - intervals.started_at), 0)
  )::numeric as seconds
from {{ ref('fct_lead_stage_interval') }} as intervals
join {{ ref('fct_lead_cycle') }} as cycles
  on cycles.tenant_id = intervals.tenant_id
  and cycles.lead_id = intervals.lead_id
  and cycles.cycle_no = intervals.cycle_no
join {{ ref('dim_as_of') }} as known on known.tenant_id = intervals.tenant_id
where intervals.status not in ('won', 'lost')
