{%- set event_types = ['lead.created', 'lead.status_changed', 'lead.assigned'] -%}
{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'lead_id'],
    meta={
        'affected_by': ['stg_crm__lead_events'],
        'event_types': event_types
    },
    on_schema_change='append_new_columns'
) }}

-- The key names the lead, not the row: all rows of a touched lead go, and all it has now come back. Business time is
-- that of the team the cycle came to first, as the first response has it.

with events as (

  {{ lead_events_in_cycles(['status', 'reason', 'actor_user_id', 'assigned_team_id'], event_types) }}

),

changes as (

  select
    events.*,
    stage_map.stage as mapped_stage,
    stage_map.rank as mapped_rank
  from events
  left join {{ ref('dim_stage_map') }} as stage_map
    on stage_map.status = events.status
    and events.occurred_at >= stage_map.valid_from
    and events.occurred_at < coalesce(stage_map.valid_to, 'infinity'::timestamptz)
  where events.event_type in ('lead.created', 'lead.status_changed')

),

reached as (

  select
    *,
    -- A status without a stage (lost) stands where the cycle had come before.
    coalesce(
      mapped_rank,
      max(mapped_rank) over (partition by tenant_id, lead_id, cycle_no order by occurred_at, event_id),
      1
    ) as rank,
    row_number() over (partition by tenant_id, lead_id order by occurred_at, event_id)::int as interval_no,
    lead(occurred_at) over (partition by tenant_id, lead_id order by occurred_at, event_id) as ended_at
  from changes

),

teams as (

  select
    tenant_id,
    lead_id,
    cycle_no,
    (array_agg(assigned_team_id order by occurred_at, event_id))[1] as first_team_id
  from events
  where event_type = 'lead.assigned' and assigned_team_id is not null
  group by tenant_id, lead_id, cycle_no

),

sources as (

  select
    tenant_id,
    lead_id,
    max(recorded_at) as source_max_recorded_at,
    max(tx_id::text::bigint) as source_max_tx_id
  from events
  group by tenant_id, lead_id

)

select
  reached.tenant_id,
  reached.lead_id,
  reached.interval_no,
  reached.cycle_no,
  reached.lead_id::text || ':' || reached.cycle_no as lead_cycle_key,
  reached.status,
  stages.stage,
  reached.rank,
  reached.reason,
  reached.actor_user_id as changed_by,
  reached.occurred_at as started_at,
  reached.ended_at,
  extract(epoch from reached.ended_at - reached.occurred_at)::numeric(18, 6) as seconds,
  (
    {{ open_seconds_until('finished', 'reached.ended_at') }} - {{ open_seconds_until('began', 'reached.occurred_at') }}
  )::numeric(18, 6) as business_seconds,
  sources.source_max_recorded_at,
  sources.source_max_tx_id
from reached
join sources using (tenant_id, lead_id)
join (select distinct rank, stage from {{ ref('dim_stage_map') }} where rank is not null) as stages using (rank)
left join teams
  on teams.tenant_id = reached.tenant_id and teams.lead_id = reached.lead_id and teams.cycle_no = reached.cycle_no
left join {{ ref('int_open_days') }} as began
  on began.tenant_id = reached.tenant_id
  and began.team_id = coalesce(teams.first_team_id, '{{ var("no_team") }}'::uuid)
  and began.utc_day = (reached.occurred_at at time zone 'UTC')::date
left join {{ ref('int_open_days') }} as finished
  on finished.tenant_id = reached.tenant_id
  and finished.team_id = coalesce(teams.first_team_id, '{{ var("no_team") }}'::uuid)
  and finished.utc_day = (reached.ended_at at time zone 'UTC')::date
