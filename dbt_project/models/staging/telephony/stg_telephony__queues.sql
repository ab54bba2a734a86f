with source as (

  select
    queue.*,
    horizon.pinned_at
  from {{ source('crm', 'queue') }} as queue
  cross join {{ source('ops', 'horizon') }} as horizon
  where queue.created_at <= horizon.pinned_at

),

renamed as (

  select
    -- ids
    tenant_id,
    id as queue_id,

    -- strings
    code,

    -- timestamps
    created_at,
    case when retired_at <= pinned_at then retired_at end as retired_at

  from source

)

select * from renamed
