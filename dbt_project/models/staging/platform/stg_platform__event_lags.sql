with source as (

  select tenant_id, minute_at, reader_id, counts
  from {{ source('crm', 'event_lag_1m') }}

),

renamed as (

  select
    -- ids
    tenant_id,
    reader_id,

    -- numbers
    counts,

    -- timestamps
    minute_at

  from source

)

select * from renamed
