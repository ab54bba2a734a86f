select
  -- ids
  tenant_id,
  id as event_id,
  tx_id,
  aggregate_id as callback_id,
  (payload_json ->> 'contact_id')::uuid as contact_id,
  (payload_json ->> 'lead_id')::uuid as lead_id,
  (payload_json ->> 'agent_user_id')::uuid as agent_id,
  (payload_json ->> 'source_call_id')::uuid as source_call_id,

  -- strings
  payload_json ->> 'kind' as kind,
  payload_json ->> 'queue' as queue,
  payload_json ->> 'status' as status,
  payload_json ->> 'reason' as reason,

  -- numbers
  (payload_json ->> 'attempts')::int as attempts,

  -- timestamps
  (payload_json ->> 'requested_at')::timestamptz as requested_at,
  (payload_json ->> 'promised_from')::timestamptz as promised_from,
  (payload_json ->> 'promised_until')::timestamptz as promised_until,
  (payload_json ->> 'first_attempt_at')::timestamptz as first_attempt_at,
  (payload_json ->> 'reached_at')::timestamptz as reached_at,
  (payload_json ->> 'ended_at')::timestamptz as ended_at,
  created_at as recorded_at
from {{ source('crm', 'event_log') }}
where aggregate_type = 'callback'
  and payload_json ? 'requested_at'
  and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)
