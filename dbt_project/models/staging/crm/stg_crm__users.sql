with source as (

  select id, tenant_id, team_id, locale, roles, is_active, created_at, updated_at
  from {{ source('crm', 'user_account') }}

),

renamed as (

  select
    -- ids
    tenant_id,
    id as user_id,
    team_id,

    -- strings
    locale,
    roles,

    -- booleans
    is_active,

    -- timestamps
    created_at,
    updated_at

  from source

)

select * from renamed
