select
  tenant_id,
  lead_id,
  interval_no,
  cycle_no,
  status,
  stage,
  rank,
  reason,
  started_at,
  ended_at,
  seconds
from {{ ref('fct_lead_stage_interval') }}
