select
  tenant_id,
  team_id,
  name,
  timezone,
  region,
  is_default,
  created_at,
  updated_at
from {{ ref('stg_crm__teams') }}
