with source as (

  -- No more than what no event tells: who the person is after merges. What happened to a lead is told by its events.
  select tenant_id, id, contact_id, received_at from {{ source('crm', 'lead') }}

),

renamed as (

  select
    -- ids
    tenant_id,
    id as lead_id,
    contact_id,

    -- timestamps
    received_at

  from source

)

select * from renamed
