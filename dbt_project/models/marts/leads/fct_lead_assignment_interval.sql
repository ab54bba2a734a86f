{%- set event_types = ['lead.created', 'lead.status_changed', 'lead.assigned', 'activity.recorded'] -%}
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

-- A lead goes from hand to hand; each hand has its own clock, the lead's runs on. An assignment to a team alone is a
-- stop in a queue, nobody's hand: it is kept, marked, and counts as no assignment.

with events as (

  {{ lead_events_in_cycles(
      [
        'assigned_user_id', 'assigned_team_id', 'decision_id', 'reason', 'actor_user_id', 'by_user_id', 'is_human',
        'direction', 'activity_kind'
      ],
      event_types
  ) }}

),

numbered as (

  select
    *,
    count(*) filter (where event_type = 'lead.assigned') over life as interval_no
  from events
  window life as (partition by tenant_id, lead_id order by occurred_at, event_id)

),

hands as (

  select
    numbered.*,
    lead(occurred_at) over (partition by tenant_id, lead_id order by occurred_at, event_id) as ended_at
  from numbered
  where event_type = 'lead.assigned'

),

known as (

  select
    hands.*,
    lag(assigned_user_id) over (
      partition by tenant_id, lead_id, cycle_no, assigned_user_id is null order by occurred_at, event_id
    ) as earlier_user_id
  from hands

),

attempts as (

  select
    hands.tenant_id,
    hands.lead_id,
    hands.interval_no,
    min(numbered.occurred_at) as first_attempt_at
  from hands
  join numbered
    on numbered.tenant_id = hands.tenant_id
    and numbered.lead_id = hands.lead_id
    and numbered.interval_no = hands.interval_no
    -- Who did it where that is known; what the system noted of a person's doing was done by whose lead it is.
    and coalesce(numbered.by_user_id, numbered.actor_user_id, hands.assigned_user_id) = hands.assigned_user_id
  where numbered.event_type = 'activity.recorded'
    and numbered.is_human
    and numbered.direction = 'outbound'
    and numbered.activity_kind in ('call', 'message')
  group by hands.tenant_id, hands.lead_id, hands.interval_no

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
  known.tenant_id,
  known.lead_id,
  known.interval_no::int as interval_no,
  known.cycle_no,
  known.lead_id::text || ':' || known.cycle_no as lead_cycle_key,
  known.lead_id::text || ':' || known.interval_no as assignment_key,
  known.assigned_user_id as user_id,
  known.assigned_team_id as team_id,
  known.reason,
  known.decision_id is not null or coalesce(known.reason like 'router.%', false) as is_auto,
  known.assigned_user_id is null as is_queue,
  -- The cycle went from one person to another; back from a queue to whoever had it is no reassignment.
  coalesce(known.assigned_user_id <> known.earlier_user_id, false) as is_reassignment,
  known.occurred_at as started_at,
  (known.occurred_at at time zone tenants.timezone)::date as started_on,
  known.ended_at,
  extract(epoch from known.ended_at - known.occurred_at)::numeric(18, 6) as seconds,
  attempts.first_attempt_at,
  extract(epoch from attempts.first_attempt_at - known.occurred_at)::numeric(18, 6) as agent_response_s,
  sources.source_max_recorded_at,
  sources.source_max_tx_id
from known
join {{ ref('stg_crm__tenants') }} as tenants on tenants.tenant_id = known.tenant_id
join sources on sources.tenant_id = known.tenant_id and sources.lead_id = known.lead_id
left join attempts
  on attempts.tenant_id = known.tenant_id
  and attempts.lead_id = known.lead_id
  and attempts.interval_no = known.interval_no
