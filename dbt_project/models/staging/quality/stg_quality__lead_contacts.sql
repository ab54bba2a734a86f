with source as (

  select tenant_id, id, contact_id from {{ source('crm', 'lead') }}

),

renamed as (

  select
    -- ids
    tenant_id,
    id as lead_id,
    contact_id

  from source

)

select * from renamed
