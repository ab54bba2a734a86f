{{ config(
    materialized='incremental',
    incremental_strategy='affected_rebuild',
    unique_key=['tenant_id', 'session_id'],
    on_schema_change='append_new_columns',
    meta={
        'affected_by': ['stg_telephony__agent_events', 'int_agent_session_moves'],
        'found_by': ['tenant_id', 'agent_id', 'session_id']
    }
) }}

-- Each event says since when an agent has stood how; of several of one instant the latest holds. A state lasts until
-- the next one begins, so that a session has neither gaps nor overlaps, whatever was told late, twice or in another
-- order.

with events as (

  select events.*
  from {{ unpacked('stg_telephony__agent_events') }} as events
  where {{ is_affected('events') }}

),

points as (

  select distinct on (tenant_id, session_id, since) *
  from events
  order by tenant_id, session_id, since, event_id desc

),

states as (

  select
    *,
    lead(since) over (partition by tenant_id, session_id order by since) as next_at
  from points

),

pieces as (

  select
    states.*,
    teams.piece_team_id,
    teams.started_at,
    coalesce(
      lead(teams.started_at) over (
        partition by states.tenant_id, states.session_id, states.since order by teams.started_at
      ),
      states.next_at
    ) as ended_at
  from states
  join lateral (
    select
      states.since as started_at,
      states.team_id as piece_team_id
    union all
    select distinct on (moves.moved_at)
      moves.moved_at,
      moves.team_id
    from {{ ref('int_agent_session_moves') }} as moves
    where moves.tenant_id = states.tenant_id
      and moves.session_id = states.session_id
      and moves.moved_at > states.since
      and (states.next_at is null or moves.moved_at < states.next_at)
    order by started_at
  ) as teams on true
  where states.state <> 'offline'

),

sources as (

  select
    tenant_id,
    session_id,
    max(recorded_at) as source_max_recorded_at,
    max(tx_id::text::bigint) as source_max_tx_id
  from events
  group by tenant_id, session_id

)

select
  pieces.tenant_id,
  pieces.session_id,
  row_number() over (partition by pieces.tenant_id, pieces.session_id order by pieces.started_at)::int as interval_no,
  pieces.agent_id,
  pieces.piece_team_id as team_id,
  pieces.state,
  pieces.reason,
  pieces.call_id,
  pieces.started_at,
  pieces.ended_at,
  extract(epoch from pieces.ended_at - pieces.started_at)::numeric(18, 6) as seconds,
  sources.source_max_recorded_at,
  sources.source_max_tx_id
from pieces
join sources using (tenant_id, session_id)
