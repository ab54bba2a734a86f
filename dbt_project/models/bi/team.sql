select
  tenant_id,
  team_id,
  name,
  timezone,
  region,
  is_default
from {{ ref('dim_team') }}
