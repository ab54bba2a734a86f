{{ config(materialized='view', schema='int', tags=['telephony']) }}

-- Moves to another team in the middle of a session: they split what the agent was doing.

select
  moves.tenant_id,
  sessions.session_id,
  moves.agent_id,
  moves.team_id,
  moves.valid_from as moved_at,
  moves.said_id as event_id,
  moves.tx_id
from {{ ref('stg_crm__agent_teams') }} as moves
join lateral (
  select
    events.session_id,
    min(events.since) as started_at,
    max(events.since) filter (where events.state = 'offline') as ended_at
  from {{ ref('stg_telephony__agent_events') }} as events
  where events.tenant_id = moves.tenant_id
    and events.agent_id = moves.agent_id
  group by events.session_id
) as sessions on true
where moves.is_move
  and moves.valid_from > sessions.started_at
  and (sessions.ended_at is null or moves.valid_from < sessions.ended_at)
