with source as (

  select
    queue.*,
    horizon.pinned_at
  from {{ source('crm', 'queue') }} as queue
  cross join {{ source('ops', 'horizon') }} as horizon
  where queue.created_at <= horizon.pinned_at

),

versions as (

  select distinct on (tenant_id, queue_id)
    tenant_id,
    queue_id,
    valid_from,
    settings
  from {{ source('crm', 'queue_version') }}
  where valid_from <= (select horizon.pinned_at from {{ source('ops', 'horizon') }} as horizon)
  order by tenant_id, queue_id, valid_from desc, id desc

),

renamed as (

  select
    -- ids
    source.tenant_id,
    source.id as queue_id,
    (versions.settings ->> 'team_id')::uuid as team_id,

    -- strings
    source.code,
    coalesce(versions.settings -> 'labels' ->> 'tr', source.code) as label_tr,
    coalesce(versions.settings -> 'labels' ->> 'en', source.code) as label_en,
    versions.settings ->> 'hours' as hours,
    versions.settings ->> 'timezone' as timezone,

    -- numbers
    (versions.settings ->> 'sl_s')::int as sl_s,
    (versions.settings ->> 'short_s')::int as short_s,
    (versions.settings ->> 'sl_target')::numeric(6, 4) as sl_target,

    -- timestamps
    source.created_at,
    case when source.retired_at <= source.pinned_at then source.retired_at end as retired_at,
    versions.valid_from as updated_at

  from source
  left join versions
    on versions.tenant_id = source.tenant_id and versions.queue_id = source.id

)

select * from renamed
