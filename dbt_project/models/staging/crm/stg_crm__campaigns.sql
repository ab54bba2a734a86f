with source as (

  select * from {{ source('crm', 'campaign') }}

),

renamed as (

  select
    -- ids
    tenant_id,
    id as campaign_id,
    external_id,

    -- strings
    platform,
    name,
    status,

    -- timestamps
    created_at,
    updated_at

  from source

)

select * from renamed
