{{ config(materialized='view', schema='int', tags=['telephony']) }}

-- Moves to another team in the middle of a session: they split what the agent was doing.

select
  moves.tenant_id,
  sessions.session_id,
  moves.agent_id,
  moves.team_id,
  moves.moved_at,
  moves.event_id,
  moves.tx_id
from {{ ref('stg_telephony__team_moves') }} as moves
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
where moves.moved_at > sessions.started_at
  and (sessions.ended_at is null or moves.moved_at < sessions.ended_at)
