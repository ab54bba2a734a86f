select
  tenant_id,
  queue_id,
  queue,
  label_tr,
  label_en,
  team_id,
  timezone,
  sl_s,
  short_s,
  sl_target,
  is_active
from {{ ref('dim_queue') }}
