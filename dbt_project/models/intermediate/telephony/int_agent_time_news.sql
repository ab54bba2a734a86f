{{ config(materialized='view', schema='int', tags=['telephony']) }}

-- Which sessions' seconds are to be counted again: those something was told of, them, their calls or the zone of their
-- team (which may be told late), and those that go on.

select tenant_id, session_id, tx_id from {{ ref('stg_telephony__agent_events') }}
union all
select tenant_id, session_id, tx_id from {{ ref('int_agent_session_moves') }}
union all
select intervals.tenant_id, intervals.session_id, zones.tx_id
from {{ ref('stg_crm__team_zones') }} as zones
join {{ ref('fct_agent_state_interval') }} as intervals
  on intervals.tenant_id = zones.tenant_id
  and intervals.team_id = zones.team_id
  and (intervals.ended_at is null or intervals.ended_at > zones.valid_from)
union all
select tenant_id, session_id, '9223372036854775807'::xid8 as tx_id
from {{ ref('fct_agent_state_interval') }}
where ended_at is null
union all
select intervals.tenant_id, intervals.session_id, legs.source_max_tx_id::text::xid8 as tx_id
from {{ ref('fct_call_leg') }} as legs
join {{ ref('fct_agent_state_interval') }} as intervals
  on intervals.tenant_id = legs.tenant_id
  and intervals.agent_id = legs.agent_id
  and legs.answered_at >= intervals.started_at
  and (intervals.ended_at is null or legs.answered_at < intervals.ended_at)
where legs.party = 'agent'
