select
  tenant_id,
  lead_id,
  cycle_no,
  lead_stage_key,
  lead_id::text || ':' || cycle_no as lead_cycle_key,
  stage,
  rank,
  is_reached,
  source,
  platform,
  campaign,
  adset,
  ad,
  form,
  first_owner_id as agent_id,
  first_team_id as team_id,
  received_on,
  is_duplicate
from {{ ref('fct_lead_stage_reached') }}
where not is_test
