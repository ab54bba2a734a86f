with source as (

  select * from {{ source('crm', 'event_log') }}
  where aggregate_type = 'tenant'
    and event_type = 'settings.changed'
    and payload_json ->> 'key' in ('queue.service_level_s', 'queue.short_abandon_s', 'queue.service_level_target')
    and payload_json ? 'value'
    and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as said_id,

    -- strings
    split_part(payload_json ->> 'key', '.', 2) as target,

    -- numbers
    (payload_json ->> 'value')::numeric(18, 6) as value,

    -- timestamps
    (payload_json ->> 'valid_from')::timestamptz as valid_from

  from source

)

select * from renamed
