-- A planned segment beside what the agent did in it. Work is being busy, free, rung or kept for a call; a pause is a
-- break when it is an external one and a meeting when it is an internal one; in no session one is off.

with segments as (

  select
    *,
    tstzrange(starts_at, ends_at) as planned
  from {{ ref('stg_telephony__schedule_segments') }}

),

classed as (

  select
    intervals.tenant_id,
    intervals.agent_id,
    case
      when intervals.state in ('available', 'reserved', 'ringing', 'on_call', 'wrap_up') then 'work'
      when intervals.state = 'paused' and reasons.kind = 'external' then 'break'
      when intervals.state = 'paused' and reasons.kind = 'internal' then 'meeting'
    end as class,
    tstzrange(intervals.started_at, coalesce(intervals.ended_at, horizon.pinned_at)) as actual
  from {{ ref('fct_agent_state_interval') }} as intervals
  cross join {{ source('ops', 'horizon') }} as horizon
  left join {{ ref('dim_pause_reason') }} as reasons
    on reasons.tenant_id = intervals.tenant_id
    and reasons.code = intervals.reason
    and intervals.started_at >= reasons.valid_from
    and intervals.started_at < coalesce(reasons.valid_to, 'infinity'::timestamptz)
  where coalesce(intervals.ended_at, horizon.pinned_at) > intervals.started_at

),

shared as (

  select
    segments.tenant_id,
    segments.segment_id,
    classed.class,
    extract(epoch from upper(segments.planned * classed.actual) - lower(segments.planned * classed.actual)) as seconds
  from segments
  join classed
    on classed.tenant_id = segments.tenant_id
    and classed.agent_id = segments.agent_id
    and classed.actual && segments.planned

),

done as (

  select
    tenant_id,
    segment_id,
    sum(seconds) as present_s,
    sum(seconds) filter (where class = 'work') as work_s,
    sum(seconds) filter (where class = 'break') as break_s,
    sum(seconds) filter (where class = 'meeting') as meeting_s
  from shared
  group by tenant_id, segment_id

)

select
  segments.tenant_id,
  segments.segment_id,
  segments.agent_id,
  segments.team_id,
  segments.class,
  segments.is_paid,
  segments.starts_at,
  segments.ends_at,
  (segments.starts_at at time zone segments.timezone)::date as starts_on,
  length.seconds::numeric(18, 6) as sched_s,
  (length.seconds * segments.is_paid::int)::numeric(18, 6) as paid_s,
  (length.seconds * (segments.class = 'work')::int)::numeric(18, 6) as scheduled_work_s,
  coalesce(done.work_s, 0)::numeric(18, 6) as actual_work_s,
  case segments.class
    when 'work' then coalesce(done.work_s, 0)
    when 'break' then coalesce(done.break_s, 0)
    when 'meeting' then coalesce(done.meeting_s, 0)
    when 'off' then length.seconds - coalesce(done.present_s, 0)
  end::numeric(18, 6) as adherent_s,
  segments.recorded_at as source_max_recorded_at
from segments
cross join lateral (select extract(epoch from segments.ends_at - segments.starts_at) as seconds) as length
left join done using (tenant_id, segment_id)
