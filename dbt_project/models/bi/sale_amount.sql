select
  sales.tenant_id,
  sales.sale_entry_key,
  sales.currency,
  sales.amount,
  sales.reporting_currency,
  sales.net_amount,
  sales.source_max_recorded_at as updated_at
from {{ ref('fct_sale') }} as sales
join {{ ref('fct_lead_cycle') }} as cycles using (tenant_id, lead_id, cycle_no)
where not cycles.is_test
