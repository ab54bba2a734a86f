select
  tenant_id,
  call_id,
  contact_id,
  is_known_person,
  reason,
  agent_id,
  queue,
  started_at,
  started_on,
  is_followed_same_reason,
  is_followed_any_reason,
  is_repeat,
  is_historical
from {{ ref('fct_inbound_contact') }}
