with source as (

  select tenant_id, id, at, route, method, status_code, duration_ms
  from {{ source('crm', 'request_log') }}
  -- Probes ask whether it is alive, which is no work.
  where route not in ('/healthz', '/readyz', '/metrics')

),

renamed as (

  select
    -- ids
    tenant_id,
    id as request_id,

    -- strings
    route,
    method,

    -- numbers
    status_code,
    duration_ms,

    -- timestamps
    date_trunc('minute', at, 'UTC') as minute_at,
    at as answered_at

  from source

)

select * from renamed
