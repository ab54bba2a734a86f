-- Queues as they are where the run reads: the version that holds then.

select
  queues.tenant_id,
  queues.queue_id,
  queues.code as queue,
  coalesce(versions.label_tr, queues.code) as label_tr,
  coalesce(versions.label_en, queues.code) as label_en,
  versions.team_id,
  versions.hours,
  versions.timezone,
  versions.sl_s,
  versions.short_s,
  versions.sl_target,
  queues.retired_at is null as is_active,
  queues.created_at,
  queues.retired_at,
  greatest(versions.valid_from, queues.created_at) as updated_at
from {{ ref('stg_telephony__queues') }} as queues
cross join {{ source('ops', 'horizon') }} as horizon
left join {{ ref('dim_queue_version') }} as versions
  on versions.tenant_id = queues.tenant_id
  and versions.queue_id = queues.queue_id
  and horizon.pinned_at >= versions.valid_from
  and horizon.pinned_at < coalesce(versions.valid_to, 'infinity'::timestamptz)
