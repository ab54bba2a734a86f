-- An agent who stands otherwise than before has ended what was before: here the writing up of a call.

select
  -- ids
  tenant_id,
  id as event_id,
  tx_id,
  (payload_json ->> 'from_call_id')::uuid as call_id,
  aggregate_id as agent_id,
  (payload_json ->> 'team_id')::uuid as team_id,

  -- strings
  payload_json ->> 'to' as wrap_end_reason,

  -- timestamps
  (payload_json ->> 'from_since')::timestamptz as started_at,
  (payload_json ->> 'since')::timestamptz as ended_at,
  created_at as recorded_at
from {{ source('crm', 'event_log') }}
where aggregate_type = 'agent'
  and event_type = 'agent.state_changed'
  and payload_json ->> 'from' = 'wrap_up'
  and payload_json ->> 'from_call_id' is not null
  and not (payload_json ->> 'to' = 'wrap_up' and payload_json -> 'call_id' = payload_json -> 'from_call_id')
  and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)
