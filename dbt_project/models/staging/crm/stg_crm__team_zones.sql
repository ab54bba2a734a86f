with source as (

  select tenant_id, id, team_id, timezone, valid_from
  from {{ source('crm', 'team_version') }}
  where valid_from <= (select horizon.pinned_at from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as team_zone_id,
    team_id,

    -- strings
    timezone,

    -- timestamps
    valid_from

  from source

)

select * from renamed
