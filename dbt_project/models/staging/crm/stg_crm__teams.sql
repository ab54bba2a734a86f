with source as (

  select * from {{ source('crm', 'team') }}

),

renamed as (

  select
    -- ids
    tenant_id,
    id as team_id,

    -- strings
    name,
    timezone,
    region,

    -- booleans
    is_default,

    -- timestamps
    created_at,
    updated_at

  from source

)

select * from renamed
