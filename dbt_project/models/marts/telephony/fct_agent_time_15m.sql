{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'session_id'],
    on_schema_change='append_new_columns',
    meta={'affected_by': ['int_agent_time_news']}
) }}

-- depends_on: {{ ref('int_agent_time_news') }}
-- States cut at quarters of an hour (UTC), which are never cut by midnight of any zone in use. Busy is a union: who
-- writes up one call while talking in the next is busy once. A state that goes on counts up to where the run reads.

with intervals as (

  select
    intervals.*,
    reasons.kind as pause_kind,
    reasons.is_planned,
    tstzrange(intervals.started_at, coalesce(intervals.ended_at, horizon.pinned_at)) as span
  from {{ ref('fct_agent_state_interval') }} as intervals
  cross join {{ source('ops', 'horizon') }} as horizon
  left join {{ ref('dim_pause_reason') }} as reasons
    on intervals.state = 'paused'
    and reasons.tenant_id = intervals.tenant_id
    and reasons.code = intervals.reason
    and intervals.started_at >= reasons.valid_from
    and intervals.started_at < coalesce(reasons.valid_to, 'infinity'::timestamptz)
  where coalesce(intervals.ended_at, horizon.pinned_at) > intervals.started_at
    and {{ is_affected('intervals') }}

),

cut as (

  select
    intervals.*,
    slots.slot_at,
    intervals.span * tstzrange(slots.slot_at, slots.slot_at + interval '15 minutes') as piece
  from intervals
  cross join lateral generate_series(
    date_bin('15 minutes', lower(intervals.span), timestamptz '2000-01-01 00:00+00'),
    upper(intervals.span) - interval '1 microsecond',
    interval '15 minutes'
  ) as slots (slot_at)

),

measured as (

  select
    *,
    extract(epoch from upper(piece) - lower(piece)) as piece_s
  from cut

),

slots as (

  select
    tenant_id,
    session_id,
    agent_id,
    team_id,
    slot_at,
    range_agg(piece) filter (where state in ('on_call', 'wrap_up')) as busy,
    {%- for state in agent_states() %}
      coalesce(sum(piece_s) filter (where state = '{{ state }}'), 0) as {{ state }}_s,
    {%- endfor %}
    coalesce(sum(piece_s) filter (where pause_kind = 'internal'), 0) as paused_internal_s,
    coalesce(sum(piece_s) filter (where pause_kind = 'external'), 0) as paused_external_s,
    coalesce(sum(piece_s) filter (where state = 'paused' and is_planned), 0) as paused_planned_s,
    coalesce(sum(piece_s) filter (where state = 'paused' and not is_planned), 0) as paused_unplanned_s,
    max(source_max_recorded_at) as source_max_recorded_at,
    max(source_max_tx_id) as source_max_tx_id
  from measured
  group by tenant_id, session_id, agent_id, team_id, slot_at

),

contacts as (

  -- Calls an agent handled, each where they first had it (R2: C).
  select distinct on (legs.tenant_id, legs.call_id, legs.agent_id)
    legs.tenant_id,
    intervals.session_id,
    intervals.team_id,
    date_bin('15 minutes', legs.answered_at, timestamptz '2000-01-01 00:00+00') as slot_at
  from {{ ref('fct_call_leg') }} as legs
  join intervals
    on intervals.tenant_id = legs.tenant_id
    and intervals.agent_id = legs.agent_id
    and legs.answered_at <@ intervals.span
  where legs.party = 'agent' and legs.talk_s >= {{ var('audible_s') }} and not legs.is_test
  order by legs.tenant_id, legs.call_id, legs.agent_id, legs.answered_at, legs.leg_no

),

handled as (

  select tenant_id, session_id, team_id, slot_at, count(*)::int as handled
  from contacts
  group by tenant_id, session_id, team_id, slot_at

),

zoned as (

  select
    slots.*,
    coalesce(handled.handled, 0) as handled,
    coalesce(teams.timezone, tenants.timezone) as timezone
  from slots
  join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
  left join {{ ref('int_team_zone_version') }} as teams
    on teams.tenant_id = slots.tenant_id
    and teams.team_id = slots.team_id
    and slots.slot_at >= teams.valid_from
    and slots.slot_at < coalesce(teams.valid_to, 'infinity'::timestamptz)
  left join handled
    on handled.tenant_id = slots.tenant_id
    and handled.session_id = slots.session_id
    and handled.team_id is not distinct from slots.team_id
    and handled.slot_at = slots.slot_at

)

select
  tenant_id,
  session_id,
  session_id::text || ':' || coalesce(team_id::text, '') || ':' || extract(epoch from slot_at)::bigint
    as agent_time_key,
  agent_id,
  team_id,
  slot_at,
  (slot_at at time zone timezone)::date as slot_on,
  timezone,
  coalesce(
    (select sum(extract(epoch from upper(part) - lower(part))) from unnest(busy) as part), 0
  )::numeric(18, 6) as busy_s,
  {%- for state in agent_states() %}
    {{ state }}_s::numeric(18, 6) as {{ state }}_s,
  {%- endfor %}
  paused_internal_s::numeric(18, 6) as paused_internal_s,
  paused_external_s::numeric(18, 6) as paused_external_s,
  paused_planned_s::numeric(18, 6) as paused_planned_s,
  paused_unplanned_s::numeric(18, 6) as paused_unplanned_s,
  handled,
  source_max_recorded_at,
  source_max_tx_id
from zoned
