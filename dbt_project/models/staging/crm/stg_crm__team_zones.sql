with source as (

  select * from {{ source('crm', 'event_log') }}
  where aggregate_type = 'team'
    and event_type in ('team.created', 'team.updated')
    and payload_json ? 'timezone'
    and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as said_id,
    tx_id,
    aggregate_id as team_id,

    -- strings
    payload_json ->> 'timezone' as timezone,

    -- timestamps
    occurred_at as valid_from

  from source

)

select * from renamed
