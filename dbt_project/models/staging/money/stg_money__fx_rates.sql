-- The latest word about each day's rate.

with source as (

  select distinct on (tenant_id, base, day, currency) *
  from {{ source('fx', 'fx_rate') }}
  where rate is not null
    and fetched_at <= (select horizon.pinned_at from {{ source('ops', 'horizon') }} as horizon)
  order by tenant_id, base, day, currency, fetched_at desc, payload_id desc

),

renamed as (

  select
    -- ids
    tenant_id,
    payload_id,

    -- strings
    base,
    currency,

    -- numbers
    rate,

    -- timestamps
    day as published_on,
    fetched_at

  from source

)

select * from renamed
