select
  -- ids
  tenant_id,
  id as event_id,
  tx_id,
  case when aggregate_type = 'dial_campaign' then aggregate_id else (payload_json ->> 'campaign_id')::uuid end
    as campaign_id,
  case when aggregate_type = 'dial_entry' then aggregate_id end as entry_id,
  (payload_json ->> 'lead_id')::uuid as lead_id,

  -- strings
  event_type,
  payload_json ->> 'reason' as reason,

  -- numbers
  coalesce((payload_json ->> 'added')::int, 0) as added,

  -- timestamps
  occurred_at,
  created_at as recorded_at
from {{ source('crm', 'event_log') }}
where (aggregate_type, event_type) in (
    ('dial_campaign', 'dial_campaign.loaded'),
    ('dial_entry', 'dial_entry.excluded')
  )
  and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)
