{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'attempt_id'],
    on_schema_change='append_new_columns',
    meta={'affected_by': ['stg_telephony__dial_events']}
) }}

-- Each event says how its attempt stands: the latest holds. What only some of them say (the campaign's zone when it was
-- dialled, who was rung first, what machine detection heard) holds from when it was said.

with events as (

  select events.*
  from {{ unpacked('stg_telephony__dial_events') }} as events
  where {{ is_affected('events') }}

),

latest as (

  select distinct on (tenant_id, attempt_id) *
  from events
  order by tenant_id, attempt_id, event_id desc

),

sources as (

  select
    tenant_id,
    attempt_id,
    (array_agg(timezone order by event_id) filter (where timezone is not null))[1] as first_timezone,
    (array_agg(verdict order by event_id desc) filter (where verdict is not null))[1] as amd_verdict,
    bool_or(is_agent_first) as agent_first,
    max(recorded_at) as source_max_recorded_at,
    max(tx_id::text::bigint) as source_max_tx_id
  from events
  group by tenant_id, attempt_id

),

judged as (

  select
    latest.*,
    sources.amd_verdict,
    coalesce(sources.agent_first, latest.mode in ('manual', 'preview')) as rang_agent_first,
    coalesce(sources.first_timezone, tenants.timezone) as zone,
    sources.source_max_recorded_at,
    sources.source_max_tx_id,
    coalesce(latest.result = 'blocked_by_policy', false) as was_blocked,
    -- Resolved without a result: nobody's telephone was called.
    coalesce(latest.result <> 'blocked_by_policy', latest.resolved_at is null) as was_tried,
    coalesce(latest.result like 'live\_%', false) as was_live
  from latest
  join sources using (tenant_id, attempt_id)
  join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
  where latest.dialed_at is not null

)

select
  tenant_id,
  attempt_id,
  campaign_id,
  entry_id,
  lead_id,
  contact_id,
  call_id,
  agent_id,
  attempt_no,
  mode,
  result,
  case when was_blocked then reason end as block_reason,
  case when not was_blocked then reason end as ending,
  amd_verdict,
  dialed_at,
  (dialed_at at time zone zone)::date as dialed_on,
  zone as timezone,
  answered_at,
  connected_at,
  ended_at,
  ring_s,
  (connect_delay_s * 1000)::numeric(18, 3) as answer_to_agent_ms,
  rang_agent_first as is_agent_first,
  was_blocked as is_blocked,
  was_tried as is_attempt,
  was_live as is_live,
  was_live or coalesce(result = 'voicemail', false) as is_answered,
  -- The law is about people who answer and wait for an agent: where the agent was first, nobody waits.
  was_live and not rang_agent_first as is_answered_live,
  is_abandoned and was_live and not rang_agent_first as is_abandoned,
  -- How many people machine detection took for this machine, by the firm's own estimate.
  case
    when amd_verdict = 'machine' and not was_live then {{ var('amd_false_positive_share') }} else 0
  end::numeric(18, 6) as amd_false_positives,
  source_max_recorded_at,
  source_max_tx_id
from judged
