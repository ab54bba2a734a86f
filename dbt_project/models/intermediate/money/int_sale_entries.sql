{%- set event_types = ['lead.created', 'lead.status_changed', 'lead.assigned', 'lead.sold', 'lead.sale_cancelled'] -%}
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

-- A sale is booked when it is made and booked back when it is cancelled; both stand in the name of whoever had the lead
-- when it was sold. One booking of each kind a sale, however often an event of it comes.

with events as (

  {{ lead_events_in_cycles(
      ['sale_id', 'amount', 'currency', 'procedure_type', 'reason', 'assigned_user_id', 'assigned_team_id'],
      event_types
  ) }}

),

numbered as (

  select
    *,
    count(*) filter (where event_type = 'lead.assigned') over life as hand_no
  from events
  window life as (partition by tenant_id, lead_id order by occurred_at, event_id)

),

entries as (

  select distinct on (tenant_id, sale_id, event_type) *
  from numbered
  where event_type in ('lead.sold', 'lead.sale_cancelled') and sale_id is not null
  order by tenant_id, sale_id, event_type, event_id

),

sales as (

  select
    entries.tenant_id,
    entries.sale_id,
    entries.occurred_at as sold_at,
    entries.cycle_no,
    entries.procedure_type,
    hands.assigned_user_id as agent_id,
    hands.assigned_team_id as team_id
  from entries
  left join numbered as hands
    on hands.tenant_id = entries.tenant_id
    and hands.lead_id = entries.lead_id
    and hands.hand_no = entries.hand_no
    and hands.event_type = 'lead.assigned'
  where entries.event_type = 'lead.sold'

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
  entries.tenant_id,
  entries.sale_id,
  case entries.event_type when 'lead.sold' then 'sale' else 'cancellation' end as entry,
  entries.lead_id,
  sales.cycle_no,
  sales.agent_id,
  sales.team_id,
  sales.procedure_type,
  entries.reason as cancel_reason,
  case entries.event_type when 'lead.sold' then entries.amount else -entries.amount end as amount,
  entries.currency,
  sales.sold_at,
  entries.occurred_at as booked_at,
  sources.source_max_recorded_at,
  sources.source_max_tx_id
from entries
join sales on sales.tenant_id = entries.tenant_id and sales.sale_id = entries.sale_id
join sources on sources.tenant_id = entries.tenant_id and sources.lead_id = entries.lead_id
