select
  tenant_id,
  sale_id,
  entry,
  sale_entry_key,
  lead_id,
  cycle_no,
  agent_id,
  team_id,
  booked_at,
  booked_on,
  received_on,
  is_within_90d,
  source_max_recorded_at as updated_at
from {{ ref('fct_sale') }}
