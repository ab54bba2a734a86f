with source as (

  select * from {{ source('crm', 'tenant') }}

),

renamed as (

  select tenant_id, timezone, currency, created_at from source

)

select * from renamed
