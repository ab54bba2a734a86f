{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'campaign_id'],
    on_schema_change='append_new_columns',
    meta={'affected_by': ['stg_telephony__dial_list_events', 'stg_telephony__dial_events']}
) }}

-- depends_on: {{ ref('stg_telephony__dial_events') }}
-- A campaign's list: who was put on it, who of those was found not to be dialled and never was, and who was.

with affected as (

  {% if is_incremental() %}
    select tenant_id, campaign_id from pg_temp.affected
  {% else %}
    select distinct tenant_id, campaign_id from {{ ref('stg_telephony__dial_list_events') }}
  {% endif %}

),

events as (

  select events.*
  from {{ ref('stg_telephony__dial_list_events') }} as events
  join affected using (tenant_id, campaign_id)

),

attempts as (

  select
    attempts.tenant_id,
    attempts.campaign_id,
    attempts.entry_id,
    bool_or(attempts.is_attempt) as is_attempted,
    bool_or(attempts.is_blocked) as is_blocked,
    max(attempts.source_max_recorded_at) as source_max_recorded_at,
    max(attempts.source_max_tx_id) as source_max_tx_id
  from {{ ref('fct_dial_attempt') }} as attempts
  join affected using (tenant_id, campaign_id)
  group by attempts.tenant_id, attempts.campaign_id, attempts.entry_id

),

dialled as (

  select
    tenant_id,
    campaign_id,
    count(*) filter (where is_attempted)::int as leads_attempted,
    max(source_max_recorded_at) as source_max_recorded_at,
    max(source_max_tx_id) as source_max_tx_id
  from attempts
  group by tenant_id, campaign_id

),

refused as (

  -- Found not to be dialled when looked at, or stopped at the last moment; who was dialled after all could be.
  select tenant_id, campaign_id, count(*)::int as leads_excluded
  from (
    select tenant_id, campaign_id, entry_id from events where entry_id is not null
    union
    select tenant_id, campaign_id, entry_id from attempts where is_blocked
    except
    select tenant_id, campaign_id, entry_id from attempts where is_attempted
  ) as never_dialled
  group by tenant_id, campaign_id

),

listed as (

  select
    tenant_id,
    campaign_id,
    min(occurred_at) filter (where event_type = 'dial_campaign.loaded') as loaded_at,
    sum(added)::int as leads_loaded,
    max(recorded_at) as source_max_recorded_at,
    max(tx_id::text::bigint) as source_max_tx_id
  from events
  group by tenant_id, campaign_id

)

select
  listed.tenant_id,
  listed.campaign_id,
  listed.loaded_at,
  (listed.loaded_at at time zone tenants.timezone)::date as loaded_on,
  listed.leads_loaded,
  coalesce(refused.leads_excluded, 0) as leads_excluded,
  greatest(listed.leads_loaded - coalesce(refused.leads_excluded, 0), 0) as leads_dialable,
  coalesce(dialled.leads_attempted, 0) as leads_attempted,
  greatest(listed.source_max_recorded_at, dialled.source_max_recorded_at) as source_max_recorded_at,
  greatest(listed.source_max_tx_id, dialled.source_max_tx_id) as source_max_tx_id
from listed
join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
left join dialled using (tenant_id, campaign_id)
left join refused using (tenant_id, campaign_id)
where listed.loaded_at is not null
