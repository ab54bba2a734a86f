with source as (

  select * from {{ source('crm', 'event_log') }}
  where aggregate_type = 'tenant'
    and event_type = 'settings.changed'
    and payload_json ->> 'key' = 'agent.pause_reasons'
    and payload_json ? 'value'
    and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as event_id,
    tx_id,

    -- the catalogue
    payload_json -> 'value' as reasons,

    -- timestamps
    (payload_json ->> 'valid_from')::timestamptz as valid_from,
    created_at as recorded_at

  from source

)

select * from renamed
