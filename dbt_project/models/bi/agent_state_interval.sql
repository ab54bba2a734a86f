select
  tenant_id,
  session_id,
  interval_no,
  agent_id,
  team_id,
  state,
  reason,
  call_id,
  started_at,
  ended_at,
  seconds,
  source_max_recorded_at as updated_at
from {{ ref('fct_agent_state_interval') }}
