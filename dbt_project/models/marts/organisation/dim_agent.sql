select
  tenant_id,
  user_id as agent_id,
  team_id,
  roles,
  locale,
  is_active,
  created_at,
  updated_at
from {{ ref('stg_crm__users') }}
