with told as (

  select
    tenant_id,
    id,
    tx_id,
    aggregate_id as call_id,
    aggregate_type = 'historical_call' as is_historical,
    -- An imported call tells its one stay within, or that it has none.
    case when aggregate_type = 'historical_call' then payload_json -> 'visit' else payload_json end as state,
    created_at
  from {{ source('crm', 'event_log') }}
  where aggregate_type in ('queue_visit', 'historical_call')
    and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as event_id,
    tx_id,
    call_id,
    (state ->> 'queue_id')::uuid as queue_id,
    (state ->> 'agent_user_id')::uuid as agent_id,

    -- strings
    state ->> 'queue' as queue,
    state ->> 'outcome' as outcome,
    state ->> 'timezone' as timezone,

    -- numbers
    coalesce((state ->> 'visit_no')::int, 1) as visit_no,
    (state ->> 'wait_s')::numeric(18, 6) as wait_s,
    (state ->> 'ring_s')::numeric(18, 6) as ring_s,
    (state ->> 'talk_s')::numeric(18, 6) as talk_s,
    (state ->> 'sl_s')::int as sl_s,
    (state ->> 'short_s')::int as short_s,
    (state ->> 'priority')::int as priority,
    jsonb_array_length(state -> 'missed') as missed,

    -- booleans
    is_historical,
    (state ->> 'in_hours')::boolean as in_hours,
    (state ->> 'is_test')::boolean as is_test,

    -- timestamps
    (state ->> 'enqueued_at')::timestamptz as enqueued_at,
    (state ->> 'left_at')::timestamptz as left_at,
    (state ->> 'connected_at')::timestamptz as connected_at,
    (state ->> 'ended_at')::timestamptz as ended_at,
    created_at as recorded_at

  from told

)

select * from renamed
