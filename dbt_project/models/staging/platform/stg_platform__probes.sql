with source as (

  select tenant_id, minute_at, is_ok, is_maintenance, duration_ms
  from {{ source('crm', 'probe') }}

),

renamed as (

  select
    -- ids
    tenant_id,

    -- numbers
    duration_ms,

    -- booleans
    is_ok,
    is_maintenance,

    -- timestamps
    minute_at

  from source

)

select * from renamed
