select
  entries.tenant_id,
  entries.sale_id,
  entries.entry,
  entries.sale_id::text || ':' || entries.entry as sale_entry_key,
  entries.lead_id,
  entries.cycle_no,
  cycles.lead_cycle_key,
  entries.agent_id,
  entries.team_id,
  entries.procedure_type,
  entries.cancel_reason,
  entries.currency,
  entries.amount::numeric(18, 3) as amount,
  tenants.currency as reporting_currency,
  -- The rate of the day of the sale for its cancellation too: what is booked back is what was booked.
  case when entries.currency = tenants.currency then 1 else rates.rate end::numeric(24, 12) as fx_rate,
  (entries.amount * case when entries.currency = tenants.currency then 1 else rates.rate end)::numeric(18, 3)
    as net_amount,
  entries.sold_at,
  entries.booked_at,
  (entries.booked_at at time zone tenants.timezone)::date as booked_on,
  cycles.received_on,
  entries.sold_at <= cycles.received_at + interval '{{ var("conversion_window_days") }} days'
  and (
    entries.booked_at <= cycles.received_at + interval '{{ var("conversion_window_days") }} days'
    or entries.booked_at <= entries.sold_at + interval '{{ var("cancellation_days") }} days'
  ) as is_within_90d,
  entries.source_max_recorded_at
from {{ ref('int_sale_entries') }} as entries
join {{ ref('fct_lead_cycle') }} as cycles
  on cycles.tenant_id = entries.tenant_id
  and cycles.lead_id = entries.lead_id
  and cycles.cycle_no = entries.cycle_no
join {{ ref('stg_crm__tenants') }} as tenants on tenants.tenant_id = entries.tenant_id
left join {{ ref('dim_fx_daily') }} as rates
  on rates.tenant_id = entries.tenant_id
  and rates.currency = entries.currency
  and rates.rate_on = (entries.sold_at at time zone tenants.timezone)::date
