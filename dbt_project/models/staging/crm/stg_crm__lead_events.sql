select
  -- ids
  tenant_id,
  id as event_id,
  tx_id,
  aggregate_id as lead_id,
  actor_user_id,
  (payload_json ->> 'contact_id')::uuid as contact_id,
  (payload_json ->> 'user_id')::uuid as assigned_user_id,
  (payload_json ->> 'team_id')::uuid as assigned_team_id,
  (payload_json ->> 'decision_id')::uuid as decision_id,
  (payload_json ->> 'activity_id')::uuid as activity_id,
  (payload_json ->> 'by_user_id')::uuid as by_user_id,
  (payload_json ->> 'sale_id')::uuid as sale_id,
  (payload_json ->> 'import_id')::uuid as import_id,

  -- strings
  event_type,
  coalesce(payload_json ->> 'to', payload_json ->> 'status') as status,
  payload_json ->> 'source' as lead_source,
  payload_json ->> 'platform' as platform,
  payload_json ->> 'campaign' as campaign,
  payload_json ->> 'adset' as adset,
  payload_json ->> 'ad' as ad,
  payload_json ->> 'form' as form,
  coalesce(payload_json ->> 'loss_reason', payload_json ->> 'reason') as reason,
  payload_json ->> 'kind' as activity_kind,
  payload_json ->> 'channel' as channel,
  payload_json ->> 'direction' as direction,
  payload_json ->> 'outcome' as outcome,
  payload_json ->> 'currency' as currency,
  payload_json ->> 'procedure_type' as procedure_type,

  -- numbers
  (payload_json ->> 'cycle_no')::int as named_cycle_no,
  (payload_json ->> 'amount_minor')::numeric
  / power(10::numeric, (payload_json ->> 'exponent')::int) as amount,

  -- booleans
  (payload_json ->> 'is_human')::boolean as is_human,
  (payload_json ->> 'is_test')::boolean as is_test,
  (payload_json ->> 'is_duplicate')::boolean as is_duplicate,
  (payload_json ->> 'acquired_at_known')::boolean as acquired_at_known,

  -- timestamps
  (payload_json ->> 'acquired_at')::timestamptz as acquired_at,
  (payload_json ->> 'received_at')::timestamptz as received_at,
  occurred_at,
  created_at as recorded_at
from {{ source('crm', 'event_log') }}
where aggregate_type = 'lead'
  and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)
