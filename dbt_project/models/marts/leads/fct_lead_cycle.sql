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

with events as (

  {{ lead_events_in_cycles(
      [
        'lead_source', 'platform', 'campaign', 'adset', 'ad', 'form', 'acquired_at', 'acquired_at_known', 'received_at',
        'is_test', 'is_duplicate', 'import_id', 'assigned_user_id', 'assigned_team_id', 'decision_id', 'reason',
        'is_human', 'direction', 'activity_kind', 'outcome'
      ],
      event_types
  ) }}

),

leads as (

  select
    events.*,
    tenants.timezone
  from events
  join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
  where events.event_type = 'lead.created'

),

intervals as (

  select
    *,
    lead(status) over cycle as next_status,
    lead(started_at) over cycle as next_at
  from {{ ref('fct_lead_stage_interval') }}
  where (tenant_id, lead_id) in (select tenant_id, lead_id from leads)
  window cycle as (partition by tenant_id, lead_id, cycle_no order by interval_no)

),

reached as (

  select
    tenant_id,
    lead_id,
    cycle_no,
    min(started_at) as started_at,
    max(rank) as max_rank,
    min(started_at) filter (where rank >= 2) as contacted_at,
    min(started_at) filter (where rank >= 3) as qualified_at,
    min(started_at) filter (where rank >= 4) as proposal_at,
    min(started_at) filter (where rank >= 5) as sale_reached_at,
    -- A sale undone within the cancellation period is none, though the stage stays reached.
    min(started_at) filter (
      where status = 'won'
      and (next_at is null or next_at > started_at + interval '{{ var("cancellation_days") }} days')
    ) as won_at,
    max(started_at) filter (where status = 'lost') as lost_at,
    (array_agg(reason order by interval_no desc) filter (where status = 'lost'))[1] as loss_reason,
    (array_agg(status order by interval_no desc))[1] as status
  from intervals
  group by tenant_id, lead_id, cycle_no

),

persons as (

  -- Assignments to a person, each with the person before; a stop in a team's queue is nobody's hand.
  select
    *,
    lag(assigned_user_id) over (
      partition by tenant_id, lead_id, cycle_no order by occurred_at, event_id
    ) as earlier_user_id,
    decision_id is not null or coalesce(reason like 'router.%', false) as is_auto
  from events
  where event_type = 'lead.assigned' and assigned_user_id is not null

),

handed as (

  select
    tenant_id,
    lead_id,
    cycle_no,
    count(*) filter (where assigned_user_id <> earlier_user_id and is_auto)::int as auto_reassignments,
    count(*) filter (where assigned_user_id <> earlier_user_id and not is_auto)::int as manual_reassignments
  from persons
  group by tenant_id, lead_id, cycle_no

),

touched as (

  select
    tenant_id,
    lead_id,
    cycle_no,
    min(occurred_at) filter (where event_type = 'lead.assigned' and assigned_user_id is not null) as assigned_at,
    (array_agg(assigned_user_id order by occurred_at, event_id) filter (
      where event_type = 'lead.assigned' and assigned_user_id is not null
    ))[1] as first_owner_id,
    (array_agg(assigned_team_id order by occurred_at, event_id) filter (
      where event_type = 'lead.assigned' and assigned_team_id is not null
    ))[1] as first_team_id,
    min(occurred_at) filter (
      where event_type = 'activity.recorded' and direction = 'outbound' and is_human
      and activity_kind in ('call', 'message')
    ) as first_attempt_at,
    min(occurred_at) filter (
      where event_type = 'activity.recorded'
      and activity_kind in ('call', 'message', 'meeting')
      and (direction = 'inbound' or outcome in ({{ quoted(var('two_way_outcomes')) }}))
    ) as first_contact_at
  from events
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

),

clocks as (

  select
    leads.*,
    reached.cycle_no as reached_cycle_no,
    reached.max_rank,
    reached.status as current_status,
    reached.contacted_at,
    reached.qualified_at,
    reached.proposal_at,
    reached.sale_reached_at,
    reached.won_at,
    reached.lost_at,
    reached.loss_reason,
    coalesce(handed.auto_reassignments, 0) as auto_reassignments,
    coalesce(handed.manual_reassignments, 0) as manual_reassignments,
    touched.assigned_at,
    touched.first_owner_id,
    touched.first_team_id,
    touched.first_attempt_at,
    touched.first_contact_at,
    -- A reopened cycle starts when it was reopened; nobody enquired anew, so it has no acquisition instant.
    case when reached.cycle_no = 1 then coalesce(leads.received_at, leads.occurred_at) else reached.started_at end
      as cycle_received_at,
    case when reached.cycle_no = 1 then coalesce(leads.acquired_at, leads.occurred_at) else reached.started_at end
      as cycle_acquired_at,
    reached.cycle_no = 1 and coalesce(leads.acquired_at_known, false) as cycle_acquired_at_known
  from leads
  join reached
    on reached.tenant_id = leads.tenant_id and reached.lead_id = leads.lead_id
  left join touched
    on touched.tenant_id = reached.tenant_id
    and touched.lead_id = reached.lead_id
    and touched.cycle_no = reached.cycle_no
  left join handed
    on handed.tenant_id = reached.tenant_id
    and handed.lead_id = reached.lead_id
    and handed.cycle_no = reached.cycle_no

)

select
  clocks.tenant_id,
  clocks.lead_id,
  clocks.reached_cycle_no as cycle_no,
  clocks.lead_id::text || ':' || clocks.reached_cycle_no as lead_cycle_key,
  clocks.lead_source as source,
  coalesce(clocks.platform, 'unknown') as platform,
  coalesce(clocks.campaign, 'unknown') as campaign,
  coalesce(clocks.adset, 'unknown') as adset,
  coalesce(clocks.ad, 'unknown') as ad,
  coalesce(clocks.form, 'unknown') as form,
  clocks.current_status as status,
  clocks.max_rank,
  clocks.loss_reason,
  clocks.first_owner_id,
  clocks.first_team_id,
  clocks.cycle_acquired_at as acquired_at,
  clocks.cycle_acquired_at_known as acquired_at_known,
  clocks.cycle_received_at as received_at,
  (clocks.cycle_received_at at time zone clocks.timezone)::date as received_on,
  clocks.assigned_at,
  clocks.first_attempt_at,
  clocks.first_contact_at,
  clocks.contacted_at,
  clocks.qualified_at,
  clocks.proposal_at,
  clocks.sale_reached_at,
  clocks.won_at,
  clocks.lost_at,
  (clocks.contacted_at at time zone clocks.timezone)::date as contacted_on,
  (clocks.qualified_at at time zone clocks.timezone)::date as qualified_on,
  (clocks.proposal_at at time zone clocks.timezone)::date as proposal_on,
  (clocks.sale_reached_at at time zone clocks.timezone)::date as sale_reached_on,
  (clocks.lost_at at time zone clocks.timezone)::date as lost_on,
  clocks.auto_reassignments,
  clocks.manual_reassignments,
  case
    when clocks.cycle_acquired_at_known and clocks.cycle_received_at >= clocks.cycle_acquired_at
      then extract(epoch from clocks.cycle_received_at - clocks.cycle_acquired_at)::numeric(18, 6)
  end as ingestion_lag_s,
  -- Seconds; null: not attempted yet, acquired at an unknown instant, or an attempt before the acquisition (rejected).
  case
    when clocks.cycle_acquired_at_known and clocks.first_attempt_at >= clocks.cycle_acquired_at
      then extract(epoch from clocks.first_attempt_at - clocks.cycle_acquired_at)::numeric(18, 6)
  end as speed_to_lead_s,
  case
    when clocks.first_attempt_at >= clocks.cycle_received_at
      then extract(epoch from clocks.first_attempt_at - clocks.cycle_received_at)::numeric(18, 6)
  end as first_response_s,
  case
    when clocks.first_attempt_at >= clocks.cycle_received_at
      then (
        {{ open_seconds_until('replied', 'clocks.first_attempt_at') }}
        - {{ open_seconds_until('received', 'clocks.cycle_received_at') }}
      )::numeric(18, 6)
  end as first_response_biz_s,
  case
    when clocks.cycle_acquired_at_known and clocks.first_contact_at >= clocks.cycle_acquired_at
      then extract(epoch from clocks.first_contact_at - clocks.cycle_acquired_at)::numeric(18, 6)
  end as time_to_contact_s,
  (extract(epoch from clocks.won_at - clocks.cycle_received_at) / 86400)::numeric(18, 6) as days_to_win,
  coalesce(
    clocks.won_at <= clocks.cycle_received_at + interval '{{ var("conversion_window_days") }} days', false
  ) as is_won_90d,
  coalesce(clocks.is_test, false) as is_test,
  coalesce(clocks.is_duplicate, false) and clocks.reached_cycle_no = 1 as is_duplicate,
  clocks.import_id is not null as is_imported,
  sources.source_max_recorded_at,
  sources.source_max_tx_id
from clocks
join sources
  on sources.tenant_id = clocks.tenant_id and sources.lead_id = clocks.lead_id
left join {{ ref('int_open_days') }} as received
  on received.tenant_id = clocks.tenant_id
  and received.team_id = coalesce(clocks.first_team_id, '{{ var("no_team") }}'::uuid)
  and received.utc_day = (clocks.cycle_received_at at time zone 'UTC')::date
left join {{ ref('int_open_days') }} as replied
  on replied.tenant_id = clocks.tenant_id
  and replied.team_id = coalesce(clocks.first_team_id, '{{ var("no_team") }}'::uuid)
  and replied.utc_day = (clocks.first_attempt_at at time zone 'UTC')::date
