-- No system plans shifts yet. What comes of plans is defined on this shape, and empty as long as there are none.

with source as (

  select
    null::uuid as tenant_id,
    null::uuid as segment_id,
    null::uuid as agent_id,
    null::uuid as team_id,
    null::text as class,
    null::boolean as is_paid,
    null::timestamptz as starts_at,
    null::timestamptz as ends_at,
    null::text as timezone,
    null::timestamptz as recorded_at

)

select * from source where segment_id is not null
