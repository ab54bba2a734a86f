-- A request is fulfilled when the last of its targets is verified, not when it was worked on. Due is what was to be
-- done by where the run reads.
select
  tenant_id,
  request_id,
  min(requested_at) as requested_at,
  min((requested_at at time zone timezone)::date) as requested_on,
  case when bool_and(verified_at is not null) then max(verified_at) end as verified_at,
  bool_or(is_on_legal_hold) as is_on_legal_hold,
  coalesce(
    case when bool_and(verified_at is not null) then max(verified_at) end
    <= min(requested_at) + interval '{{ var("erasure_days") }} days',
    false
  ) as is_in_time,
  (
    min(requested_at) + interval '{{ var("erasure_days") }} days' <= max(horizon.pinned_at)
    or bool_and(verified_at is not null)
  ) as is_due,
  max(recorded_at) as source_max_recorded_at
from {{ ref('stg_quality__erasure_targets') }}
cross join {{ source('ops', 'horizon') }} as horizon
group by tenant_id, request_id
