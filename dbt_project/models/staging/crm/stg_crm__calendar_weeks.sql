with source as (

  select tenant_id, id, team_id, user_id, valid_from, timezone, hours, created_at
  from {{ source('crm', 'calendar_week') }}
  where user_id is null
    and created_at <= (select horizon.pinned_at from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as calendar_week_id,
    team_id,

    -- strings
    timezone,

    -- lists
    hours,

    -- timestamps
    valid_from,
    created_at

  from source

)

select * from renamed
