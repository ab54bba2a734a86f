select
  tenant_id,
  agent_id,
  team_id,
  is_active,
  created_at
from {{ ref('dim_agent') }}
