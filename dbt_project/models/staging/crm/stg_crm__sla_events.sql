select
  -- ids
  tenant_id,
  id as event_id,
  tx_id,
  aggregate_id as clock_id,
  (payload_json ->> 'lead_id')::uuid as lead_id,
  (payload_json ->> 'team_id')::uuid as team_id,
  (payload_json ->> 'check_in_id')::uuid as check_in_id,

  -- strings
  event_type,
  payload_json ->> 'kind' as kind,
  payload_json ->> 'state' as state,
  payload_json ->> 'rule_code' as rule_code,
  payload_json ->> 'status' as status,
  payload_json ->> 'time_basis' as time_basis,
  payload_json ->> 'end_reason' as end_reason,

  -- numbers
  (payload_json ->> 'cycle_no')::int as cycle_no,
  (payload_json ->> 'rule_version')::int as rule_version,
  (payload_json ->> 'target_s')::int as target_s,
  (payload_json ->> 'late_by_s')::numeric as late_by_s,

  -- lists
  payload_json -> 'pauses' as pauses,

  -- timestamps
  (payload_json ->> 'started_at')::timestamptz as started_at,
  (payload_json ->> 'due_at')::timestamptz as due_at,
  (payload_json ->> 'breached_at')::timestamptz as breached_at,
  (payload_json ->> 'ended_at')::timestamptz as ended_at,
  created_at as recorded_at
from {{ source('crm', 'event_log') }}
where aggregate_type = 'sla_clock'
  and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)
