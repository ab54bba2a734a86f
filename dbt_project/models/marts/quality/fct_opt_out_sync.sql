-- What nobody acknowledged runs on, up to where the run reads.
select
  tenant_id,
  opt_out_id,
  destination,
  opt_out_id || ':' || destination as opt_out_sync_key,
  opted_out_at,
  (opted_out_at at time zone timezone)::date as opted_out_on,
  acknowledged_at,
  extract(epoch from coalesce(acknowledged_at, horizon.pinned_at) - opted_out_at)::numeric(18, 6) as propagation_s,
  recorded_at as source_max_recorded_at
from {{ ref('stg_quality__opt_out_syncs') }}
cross join {{ source('ops', 'horizon') }} as horizon
