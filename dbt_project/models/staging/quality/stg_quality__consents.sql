with source as (

  -- What people said, added to and never changed: the latest about a channel holds.
  select tenant_id, id, contact_id, channel, purpose, status, legal_basis, valid_from, valid_until, recorded_at
  from {{ source('crm', 'consent') }}

),

renamed as (

  select
    -- ids
    tenant_id,
    id as consent_id,
    contact_id,

    -- strings
    channel,
    purpose,
    status,
    legal_basis,

    -- timestamps
    coalesce(valid_from, recorded_at) as said_at,
    valid_until,
    recorded_at

  from source

)

select * from renamed
