{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'activity_id'],
    on_schema_change='append_new_columns'
) }}

-- What is recorded of a meeting with a customer is never changed: news are added, whenever they are told.

select
  events.tenant_id,
  events.activity_id,
  events.lead_id,
  events.contact_id,
  events.activity_kind as kind,
  events.channel,
  events.direction,
  events.outcome,
  coalesce(events.is_human, false) as is_human,
  coalesce(events.by_user_id, events.actor_user_id) as user_id,
  events.activity_kind in ('call', 'message') and events.direction = 'outbound' and coalesce(events.is_human, false)
    as is_attempt,
  events.activity_kind in ('call', 'message', 'meeting')
  and (events.direction = 'inbound' or coalesce(events.outcome in ({{ quoted(var('two_way_outcomes')) }}), false))
    as is_contact,
  events.occurred_at,
  (events.occurred_at at time zone tenants.timezone)::date as occurred_on,
  events.recorded_at as source_max_recorded_at,
  events.tx_id::text::bigint as source_max_tx_id
from {{ unpacked('stg_crm__lead_events') }} as events
join {{ ref('stg_crm__tenants') }} as tenants on tenants.tenant_id = events.tenant_id
where events.event_type = 'activity.recorded'
  and events.activity_id is not null
  {% if is_incremental() %}
    and {{ is_news('events', this) }}
  {% endif %}
