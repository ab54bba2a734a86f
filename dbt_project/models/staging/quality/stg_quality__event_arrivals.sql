with source as (

  select tenant_id, tx_id, aggregate_type, payload_json, occurred_at, created_at
  from {{ source('crm', 'event_log') }}
  where tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    tx_id,

    -- strings
    aggregate_type as source,

    -- booleans
    -- What another system had recorded is brought here long after it happened, by its nature.
    aggregate_type = 'historical_call' or payload_json ->> 'import_id' is not null as is_historical,

    -- timestamps
    occurred_at,
    created_at as recorded_at

  from source

)

select * from renamed
