select
  -- ids
  tenant_id,
  id as event_id,
  tx_id,
  aggregate_id as agent_id,
  (payload_json ->> 'session_id')::uuid as session_id,
  (payload_json ->> 'team_id')::uuid as team_id,
  (payload_json ->> 'call_id')::uuid as call_id,

  -- strings
  -- Who has signed on stands nobody knows how until the state is told; who has signed off is offline.
  case event_type
    when 'agent.signed_on' then 'unknown'
    when 'agent.signed_off' then 'offline'
    else payload_json ->> 'to'
  end as state,
  payload_json ->> 'reason' as reason,

  -- timestamps
  coalesce((payload_json ->> 'since')::timestamptz, (payload_json ->> 'ended_at')::timestamptz, occurred_at) as since,
  created_at as recorded_at
from {{ source('crm', 'event_log') }}
where aggregate_type = 'agent'
  and event_type in ('agent.signed_on', 'agent.state_changed', 'agent.signed_off')
  and payload_json ? 'session_id'
  and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)
