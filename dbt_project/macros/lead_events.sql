{# The events of every lead that something happened to since this model last ran (all leads on the first run), each with
   the cycle it belongs to: an event that names no cycle belongs to the one open at its instant.

   `columns`: what the model takes of an event beside its keys and instants; `types`: which events it reads, those that
   begin cycles always among them.

   What this model has read is what it holds: every event of a lead ends up in the lead's source_max_tx_id, and all
   transactions below the horizon have ended, so `tx_id > max(source_max_tx_id)` misses nothing and no separate
   watermark can disagree with the table. #}
{% macro lead_events_in_cycles(columns, types=[]) %}
{%- set wanted = (['lead.created', 'lead.status_changed'] + types) | unique | list -%}
select
  events.tenant_id,
  events.lead_id,
  events.event_id,
  events.tx_id,
  events.event_type,
  events.occurred_at,
  events.recorded_at,
  {%- for column in columns %}
  events.{{ column }},
  {%- endfor %}
  coalesce(
    max(events.named_cycle_no) over (
      partition by events.tenant_id, events.lead_id order by events.occurred_at, events.event_id
    ),
    1
  ) as cycle_no
from {{ ref('stg_crm__lead_events') }} as events
where events.event_type in ({{ quoted(wanted) }})
{% if is_incremental() %}
  and (events.tenant_id, events.lead_id) in (
    select news.tenant_id, news.lead_id
    from {{ ref('stg_crm__lead_events') }} as news
    where news.tx_id > (select coalesce(max(held.source_max_tx_id), 0)::text::xid8 from {{ this }} as held)
      and news.event_type in ({{ quoted(wanted) }})
  )
{% endif %}
{% endmacro %}
