with source as (

  select * from {{ source('crm', 'event_log') }}
  where aggregate_type = 'user'
    and event_type in ('user.created', 'user.registered', 'user.updated')
    and payload_json ? 'team_id'
    and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as said_id,
    tx_id,
    aggregate_id as agent_id,
    (payload_json ->> 'team_id')::uuid as team_id,

    -- booleans
    coalesce(payload_json -> 'changed' ? 'team_id', false) as is_move,

    -- timestamps
    occurred_at as valid_from

  from source

)

select * from renamed
