{{ config(materialized='view', contract={'enforced': false}) }}

select
  slots.tenant_id,
  slots.agent_time_key || ':' || states.state as agent_state_time_key,
  slots.agent_id,
  slots.team_id,
  slots.slot_at,
  slots.slot_on,
  states.state,
  states.seconds
from {{ ref('fct_agent_time_15m') }} as slots
join lateral (
  values
  {%- for state in agent_states() %}
    ('{{ state }}', slots.{{ state }}_s){{ ',' if not loop.last }}
  {%- endfor %}
) as states (state, seconds) on true
where states.seconds > 0
