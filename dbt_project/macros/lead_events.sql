{# The events of every lead that something happened to since this model last ran (all leads on the first run), each with
   the cycle it belongs to: an event that names no cycle belongs to the one open at its instant.

   `columns`: what the model takes of an event beside its keys and instants; `types`: which events it reads, those that
   begin cycles among them, as its `meta.event_types` says. #}
{% macro lead_events_in_cycles(columns, types) %}
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
from {{ unpacked('stg_crm__lead_events') }} as events
where events.event_type in ({{ quoted(types) }})
  and {{ is_affected('events') }}
{% endmacro %}
