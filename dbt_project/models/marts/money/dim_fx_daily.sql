-- Nothing is published on weekends and holidays: the last rate before holds, for a week and no longer.

with published as (

  select
    rates.tenant_id,
    rates.currency,
    tenants.currency as reporting_currency,
    rates.published_on,
    -- What is quoted in another base is taken across it.
    rates.rate / case when rates.base = tenants.currency then 1 else across.rate end as rate
  from {{ ref('stg_money__fx_rates') }} as rates
  join {{ ref('stg_crm__tenants') }} as tenants on tenants.tenant_id = rates.tenant_id
  left join {{ ref('stg_money__fx_rates') }} as across
    on across.tenant_id = rates.tenant_id
    and across.base = rates.base
    and across.published_on = rates.published_on
    and across.currency = tenants.currency
  where rates.base = tenants.currency or across.rate is not null

),

known as (

  select distinct on (tenant_id, currency, published_on)
    *
  from published
  where currency <> reporting_currency
  order by tenant_id, currency, published_on, rate

),

spans as (

  select
    *,
    lead(published_on) over (partition by tenant_id, currency order by published_on) as next_published_on
  from known

)

select
  spans.tenant_id,
  spans.currency,
  day.day::date as rate_on,
  spans.rate::numeric(24, 12) as rate,
  spans.reporting_currency,
  spans.published_on
from spans
cross join lateral generate_series(
  spans.published_on::timestamp,
  least(spans.next_published_on - 1, spans.published_on + {{ var("rate_holds_days") }})::timestamp,
  interval '1 day'
) as day
