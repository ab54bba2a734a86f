{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'minute_at'],
    on_schema_change='append_new_columns',
    full_refresh=false,
    meta={'history': 'the request log is kept for 30 days, these minutes for good: never rebuilt from it'}
) }}

-- Durations are kept as counts of buckets, which may be added up over minutes and routes; percentiles may not.

{%- set bounds = var('api_bounds_ms') %}

with requests as (

  select
    *,
    -- width_bucket counts a bound itself to the next bucket, a histogram to its own.
    width_bucket(-duration_ms::float8, array[-{{ bounds | reverse | join(', -') }}]::float8[]) as above
  from {{ ref('stg_platform__requests') }}
  where minute_at >= {{ recent_since() }}

)

select
  requests.tenant_id,
  requests.minute_at,
  requests.route,
  requests.method,
  requests.route || ' ' || requests.method || ' ' || extract(epoch from requests.minute_at)::bigint
    as request_minute_key,
  (requests.minute_at at time zone tenants.timezone)::date as minute_on,
  count(*) as requests,
  count(*) filter (where requests.status_code >= 500) as errors,
  {% for bound in bounds %}
    count(*) filter (where requests.above = {{ bounds | length - loop.index0 }}) as le_{{ bound }},
  {% endfor %}
  count(*) filter (where requests.above = 0) as le_inf,
  max(requests.answered_at) as source_max_recorded_at
from requests
join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
group by requests.tenant_id, requests.minute_at, requests.route, requests.method, tenants.timezone
