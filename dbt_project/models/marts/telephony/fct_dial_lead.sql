{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'lead_id'],
    on_schema_change='append_new_columns',
    meta={'affected_by': ['stg_telephony__dial_events', 'stg_crm__lead_events']}
) }}

-- depends_on: {{ ref('stg_telephony__dial_events') }}
-- What dialling came to for a lead's cycle, from its first attempt on. Cycles and contacts are read from the lead's own
-- events, below the same horizon as the attempts: the marts of leads are built by another run.

with attempts as (

  select attempts.*
  from {{ ref('fct_dial_attempt') }} as attempts
  where attempts.is_attempt
    and {{ is_affected('attempts') }}

),

told as (

  select events.*
  from {{ ref('stg_crm__lead_events') }} as events
  where (events.tenant_id, events.lead_id) in (select attempts.tenant_id, attempts.lead_id from attempts)

),

lives as (

  select tenant_id, lead_id, named_cycle_no as cycle_no, min(occurred_at) as began_at
  from told
  where named_cycle_no is not null
  group by tenant_id, lead_id, named_cycle_no

),

cycles as (

  select
    *,
    lead(began_at) over (partition by tenant_id, lead_id order by cycle_no) as next_at
  from lives

),

dialled as (

  select
    attempts.*,
    coalesce(
      (
        select max(cycles.cycle_no)
        from cycles
        where cycles.tenant_id = attempts.tenant_id
          and cycles.lead_id = attempts.lead_id
          and cycles.began_at <= attempts.dialed_at
      ),
      1
    ) as cycle_no
  from attempts

),

tried as (

  select
    tenant_id,
    lead_id,
    cycle_no,
    (array_agg(campaign_id order by dialed_at, attempt_id))[1] as campaign_id,
    min(dialed_at) as first_dialed_at,
    (array_agg(dialed_on order by dialed_at, attempt_id))[1] as first_dialed_on,
    count(*)::int as attempts,
    min(coalesce(answered_at, dialed_at)) filter (where is_live) as first_live_at,
    max(source_max_recorded_at) as source_max_recorded_at,
    max(source_max_tx_id) as source_max_tx_id
  from dialled
  group by tenant_id, lead_id, cycle_no

),

answers as (

  select
    tried.tenant_id,
    tried.lead_id,
    tried.cycle_no,
    min(told.occurred_at) filter (
      where told.event_type = 'activity.recorded'
      and told.activity_kind in ('call', 'message', 'meeting')
      and (told.direction = 'inbound' or told.outcome in ({{ quoted(var('two_way_outcomes')) }}))
    ) as first_answer_at,
    coalesce(bool_or(told.status = 'wrong_number'), false) as is_wrong_number
  from tried
  left join cycles using (tenant_id, lead_id, cycle_no)
  join told
    on told.tenant_id = tried.tenant_id
    and told.lead_id = tried.lead_id
    and told.occurred_at >= tried.first_dialed_at
    and (cycles.next_at is null or told.occurred_at < cycles.next_at)
  group by tried.tenant_id, tried.lead_id, tried.cycle_no

),

sources as (

  select
    tenant_id,
    lead_id,
    max(recorded_at) as recorded_at,
    max(tx_id::text::bigint) as tx_id
  from told
  group by tenant_id, lead_id

)

select
  tried.tenant_id,
  tried.lead_id,
  tried.cycle_no,
  tried.lead_id::text || ':' || tried.cycle_no as lead_cycle_key,
  tried.campaign_id,
  tried.first_dialed_at,
  tried.first_dialed_on,
  tried.attempts,
  least(tried.first_live_at, answers.first_answer_at) as first_contact_at,
  tried.first_live_at is not null as is_reached,
  coalesce(
    least(tried.first_live_at, answers.first_answer_at)
    <= tried.first_dialed_at + interval '{{ var("contact_window_days") }} days',
    false
  ) as is_contacted_14d,
  coalesce(answers.is_wrong_number, false) as is_wrong_number,
  greatest(tried.source_max_recorded_at, sources.recorded_at) as source_max_recorded_at,
  greatest(tried.source_max_tx_id, sources.tx_id) as source_max_tx_id
from tried
left join answers using (tenant_id, lead_id, cycle_no)
left join sources using (tenant_id, lead_id)
