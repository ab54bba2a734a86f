{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'call_id'],
    on_schema_change='append_new_columns',
    meta={'affected_by': ['stg_telephony__call_events', 'stg_telephony__queue_visit_events', 'int_call_wrap_up']}
) }}

-- depends_on: {{ ref('stg_telephony__queue_visit_events') }}, {{ ref('int_call_wrap_up') }}
-- The legs of a call are told whole from its end on: the latest telling holds.

with told as (

  select distinct on (events.tenant_id, events.call_id)
    events.tenant_id,
    events.call_id,
    events.legs
  from {{ unpacked('stg_telephony__call_events') }} as events
  where events.legs is not null
    and {{ is_affected('events') }}
  order by events.tenant_id, events.call_id, events.event_id desc

),

legs as (

  select
    told.tenant_id,
    told.call_id,
    (leg.value ->> 'leg_no')::int as leg_no,
    leg.value ->> 'party' as party,
    leg.value ->> 'stage' as stage,
    leg.value ->> 'transfer' as transfer_kind,
    (leg.value ->> 'cause')::int as cause,
    (leg.value ->> 'agent_user_id')::uuid as agent_id,
    (leg.value ->> 'outside_agent_id')::uuid as outside_agent_id,
    (leg.value ->> 'started_at')::timestamptz as started_at,
    (leg.value ->> 'rang_at')::timestamptz as rang_at,
    (leg.value ->> 'answered_at')::timestamptz as answered_at,
    (leg.value ->> 'ended_at')::timestamptz as ended_at,
    (leg.value ->> 'talk_s')::numeric(18, 6) as talk_s,
    (leg.value ->> 'hold_s')::numeric(18, 6) as hold_s
  from told
  cross join lateral jsonb_array_elements(told.legs) as leg

),

numbered as (

  select
    *,
    -- Who was in a call twice wrote it up once, in the end.
    row_number() over (partition by tenant_id, call_id, agent_id order by leg_no desc) = 1 as is_last
  from legs

)

select
  legs.tenant_id,
  legs.call_id,
  legs.leg_no,
  legs.call_id::text || ':' || legs.leg_no as call_leg_key,
  legs.party,
  legs.agent_id,
  legs.outside_agent_id,
  wraps.team_id,
  calls.direction,
  calls.purpose,
  coalesce(stays.queue, calls.queue) as queue,
  calls.campaign_id,
  legs.stage,
  legs.cause,
  legs.transfer_kind,
  legs.started_at,
  legs.rang_at,
  legs.answered_at,
  (legs.answered_at at time zone calls.timezone)::date as answered_on,
  calls.timezone,
  legs.ended_at,
  legs.talk_s,
  legs.hold_s,
  coalesce(wraps.wrap_s, 0)::numeric(18, 6) as wrap_s,
  wraps.wrap_end_reason,
  -- Of another system's calls its own word holds: whoever answered has handled them.
  legs.party = 'agent' and (calls.is_historical or legs.talk_s >= {{ var('audible_s') }}) as is_handled,
  calls.is_historical or wraps.wrap_s is not null as is_wrap_closed,
  calls.is_test,
  calls.is_historical,
  calls.source_max_recorded_at,
  calls.source_max_tx_id
from numbered as legs
join {{ ref('fct_call') }} as calls using (tenant_id, call_id)
left join lateral (
  select
    sum(wrap_ups.wrap_s) as wrap_s,
    (array_agg(wrap_ups.team_id order by wrap_ups.event_id desc))[1] as team_id,
    (array_agg(wrap_ups.wrap_end_reason order by wrap_ups.event_id desc))[1] as wrap_end_reason
  from {{ ref('int_call_wrap_up') }} as wrap_ups
  where wrap_ups.tenant_id = legs.tenant_id
    and wrap_ups.call_id = legs.call_id
    and wrap_ups.agent_id = legs.agent_id
    and legs.is_last
) as wraps on true
left join lateral (
  -- The queue that the caller had come to by then: a call that was sent on has legs of several.
  select visits.queue
  from {{ ref('fct_queue_visit') }} as visits
  where visits.tenant_id = legs.tenant_id
    and visits.call_id = legs.call_id
    and visits.enqueued_at <= coalesce(legs.answered_at, legs.started_at)
  order by visits.visit_no desc
  limit 1
) as stays on true
