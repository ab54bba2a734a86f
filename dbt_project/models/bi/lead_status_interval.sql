select
  tenant_id,
  lead_id,
  interval_no,
  cycle_no,
  lead_cycle_key,
  status,
  stage,
  rank,
  reason,
  started_at,
  ended_at,
  seconds,
  source_max_recorded_at as updated_at
from {{ ref('fct_lead_stage_interval') }}
