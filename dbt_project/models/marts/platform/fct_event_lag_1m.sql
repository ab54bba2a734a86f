{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'minute_at'],
    on_schema_change='append_new_columns',
    full_refresh=false,
    meta={'history': 'what readers count is kept for 30 days, these minutes for good: never rebuilt from it'}
) }}

{%- set bounds = var('lag_bounds_ms') %}

select
  lags.tenant_id,
  lags.minute_at,
  (lags.minute_at at time zone tenants.timezone)::date as minute_on,
  extract(epoch from lags.minute_at)::bigint::text as minute_key,
  {% for bound in bounds %}
    coalesce(sum(lags.counts[{{ loop.index }}]), 0)::bigint as le_{{ bound }},
  {% endfor %}
  coalesce(sum(lags.counts[{{ bounds | length + 1 }}]), 0)::bigint as le_inf,
  lags.minute_at as source_max_recorded_at
from {{ ref('stg_platform__event_lags') }} as lags
join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
where lags.minute_at >= {{ recent_since() }}
group by lags.tenant_id, lags.minute_at, tenants.timezone
