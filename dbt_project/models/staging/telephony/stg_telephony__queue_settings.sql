with source as (

  select * from {{ source('crm', 'queue_version') }}
  where created_at <= (select horizon.pinned_at from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as said_id,
    queue_id,
    (settings ->> 'team_id')::uuid as team_id,

    -- strings
    settings -> 'labels' ->> 'tr' as label_tr,
    settings -> 'labels' ->> 'en' as label_en,
    settings ->> 'hours' as hours,
    settings ->> 'timezone' as timezone,

    -- numbers
    (settings ->> 'sl_s')::int as sl_s,
    (settings ->> 'short_s')::int as short_s,
    (settings ->> 'sl_target')::numeric(6, 4) as sl_target,

    -- timestamps
    valid_from

  from source

)

select * from renamed
