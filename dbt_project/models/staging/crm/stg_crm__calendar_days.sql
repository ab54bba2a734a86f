with source as (

  select tenant_id, id, team_id, day, kind, closed_from, hours, source, created_at
  from {{ source('crm', 'calendar_day') }}
  where created_at <= (select horizon.pinned_at from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as calendar_day_id,
    team_id,

    -- strings
    kind,

    -- numbers
    closed_from as closed_from_minute,

    -- booleans
    source = 'own' as is_own,

    -- lists
    hours,

    -- timestamps
    day,
    created_at

  from source

)

select * from renamed
