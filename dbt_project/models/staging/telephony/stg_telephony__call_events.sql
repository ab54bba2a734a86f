-- What tells of a call without saying how it stands (that it was listened to, what a form was answered) is left out.

select
  -- ids
  tenant_id,
  id as event_id,
  tx_id,
  aggregate_id as call_id,
  (payload_json ->> 'lead_id')::uuid as lead_id,
  (payload_json ->> 'contact_id')::uuid as contact_id,
  (payload_json ->> 'agent_user_id')::uuid as agent_id,
  (payload_json ->> 'outside_agent_id')::uuid as outside_agent_id,
  (payload_json ->> 'campaign_id')::uuid as campaign_id,
  (payload_json ->> 'callback_id')::uuid as callback_id,

  -- strings
  event_type,
  case when payload_json ->> 'direction' = 'inbound' then 'inbound' else 'outbound' end as direction,
  payload_json ->> 'purpose' as purpose,
  payload_json ->> 'outcome' as outcome,
  payload_json ->> 'failure' as failure,
  payload_json ->> 'verdict' as verdict,
  payload_json ->> 'queue' as queue,
  payload_json ->> 'timezone' as timezone,
  payload_json ->> 'disposition' as disposition,
  payload_json ->> 'party' as disposition_party,

  -- numbers
  (payload_json ->> 'cause')::int as cause,
  (payload_json ->> 'ring_s')::numeric(18, 6) as ring_s,
  (payload_json ->> 'talk_s')::numeric(18, 6) as talk_s,
  (payload_json ->> 'held_s')::numeric(18, 6) as hold_s,

  -- booleans
  aggregate_type = 'historical_call' as is_historical,
  (payload_json ->> 'is_forced')::boolean as is_disposition_forced,

  -- lists
  nullif(payload_json -> 'legs', 'null'::jsonb) as legs,

  -- timestamps
  (payload_json ->> 'requested_at')::timestamptz as requested_at,
  (payload_json ->> 'started_at')::timestamptz as started_at,
  (payload_json ->> 'answered_at')::timestamptz as answered_at,
  (payload_json ->> 'connected_at')::timestamptz as connected_at,
  -- A call that never reached the exchange ended when it was given up, or denied.
  coalesce(
    (payload_json ->> 'ended_at')::timestamptz,
    case when event_type in ('call.ended', 'call.denied') then occurred_at end
  ) as ended_at,
  occurred_at,
  created_at as recorded_at
from {{ source('crm', 'event_log') }}
where aggregate_type in ('call', 'historical_call')
  and payload_json ? 'purpose'
  and event_type <> 'call.supervised'
  and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)
