select
  -- ids
  tenant_id,
  id as event_id,
  tx_id,
  aggregate_id as attempt_id,
  (payload_json ->> 'campaign_id')::uuid as campaign_id,
  (payload_json ->> 'entry_id')::uuid as entry_id,
  (payload_json ->> 'lead_id')::uuid as lead_id,
  (payload_json ->> 'contact_id')::uuid as contact_id,
  (payload_json ->> 'call_id')::uuid as call_id,
  (payload_json ->> 'agent_user_id')::uuid as agent_id,

  -- strings
  payload_json ->> 'mode' as mode,
  payload_json ->> 'result' as result,
  payload_json ->> 'reason' as reason,
  payload_json ->> 'verdict' as verdict,
  payload_json ->> 'timezone' as timezone,

  -- numbers
  (payload_json ->> 'attempt_no')::int as attempt_no,
  (payload_json ->> 'connect_delay_s')::numeric as connect_delay_s,
  (payload_json ->> 'ring_s')::numeric(18, 6) as ring_s,

  -- booleans
  coalesce((payload_json ->> 'is_abandoned')::boolean, false) as is_abandoned,
  (payload_json ->> 'agent_first')::boolean as is_agent_first,

  -- timestamps
  (payload_json ->> 'dialed_at')::timestamptz as dialed_at,
  (payload_json ->> 'answered_at')::timestamptz as answered_at,
  (payload_json ->> 'connected_at')::timestamptz as connected_at,
  (payload_json ->> 'ended_at')::timestamptz as ended_at,
  (payload_json ->> 'resolved_at')::timestamptz as resolved_at,
  occurred_at,
  created_at as recorded_at
from {{ source('crm', 'event_log') }}
where aggregate_type = 'dial_attempt'
  and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)
