with source as (

  select * from {{ source('crm', 'event_log') }}
  where aggregate_type = 'user'
    and event_type = 'user.updated'
    and payload_json -> 'changed' ? 'team_id'
    and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as event_id,
    tx_id,
    aggregate_id as agent_id,
    (payload_json ->> 'team_id')::uuid as team_id,

    -- timestamps
    occurred_at as moved_at,
    created_at as recorded_at

  from source

)

select * from renamed
