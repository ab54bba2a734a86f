{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'minute_at'],
    on_schema_change='append_new_columns',
    full_refresh=false,
    meta={'history': 'probes are kept for 30 days, these minutes for good: never rebuilt from them'}
) }}

-- Every minute since the first probe is a row: one that nobody probed is not good, whatever the reason (R8).

with probed as (

  select
    tenant_id,
    greatest(min(minute_at), {{ recent_since() }}) as first_at
  from {{ ref('stg_platform__probes') }}
  group by tenant_id

),

minutes as (

  select
    probed.tenant_id,
    minute_at
  from probed
  cross join {{ source('ops', 'horizon') }} as horizon
  cross join generate_series(
    probed.first_at, date_trunc('minute', horizon.pinned_at, 'UTC') - interval '1 minute', interval '1 minute'
  ) as minute_at

),

requests as (

  select
    tenant_id,
    minute_at,
    sum(requests) as requests,
    sum(errors) as errors
  from {{ ref('fct_api_request_1m') }}
  where minute_at >= {{ recent_since() }}
  group by tenant_id, minute_at

)

select
  minutes.tenant_id,
  minutes.minute_at,
  (minutes.minute_at at time zone tenants.timezone)::date as minute_on,
  extract(epoch from minutes.minute_at)::bigint::text as minute_key,
  coalesce(probes.is_ok, false) as is_probe_ok,
  coalesce(probes.is_maintenance, false) as is_maintenance,
  coalesce(probes.is_ok, false) and coalesce(requests.errors < 0.01 * requests.requests, true) as is_good,
  minutes.minute_at as source_max_recorded_at
from minutes
join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
left join {{ ref('stg_platform__probes') }} as probes using (tenant_id, minute_at)
left join requests using (tenant_id, minute_at)
