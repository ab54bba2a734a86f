select
  tenant_id,
  queue_id,
  code as queue,
  label_tr,
  label_en,
  team_id,
  hours,
  timezone,
  sl_s,
  short_s,
  sl_target,
  retired_at is null as is_active,
  created_at,
  retired_at,
  updated_at
from {{ ref('stg_telephony__queues') }}
