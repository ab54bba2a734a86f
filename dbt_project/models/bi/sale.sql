select
  sales.tenant_id,
  sales.sale_id,
  sales.entry,
  sales.sale_entry_key,
  sales.lead_id,
  sales.cycle_no,
  sales.lead_cycle_key,
  sales.agent_id,
  sales.team_id,
  sales.booked_at,
  sales.booked_on,
  sales.received_on,
  sales.is_within_90d,
  sales.source_max_recorded_at as updated_at
from {{ ref('fct_sale') }} as sales
join {{ ref('fct_lead_cycle') }} as cycles using (tenant_id, lead_id, cycle_no)
where not cycles.is_test
