-- An item that does not apply leaves both parts; a failed item that decides alone makes the review 0.

select
  tenant_id,
  review_id,
  call_id,
  agent_id,
  reviewer_id,
  form_version,
  min((reviewed_at at time zone timezone)::date) as reviewed_on,
  min(reviewed_at) as reviewed_at,
  sum(points * weight) filter (where is_applicable)::numeric(18, 6) as points,
  sum(max_points * weight) filter (where is_applicable)::numeric(18, 6) as max_points,
  bool_or(is_auto_fail and is_applicable and points < max_points) as is_auto_failed,
  case
    when bool_or(is_auto_fail and is_applicable and points < max_points) then 0
    else sum(points * weight) filter (where is_applicable)
      / nullif(sum(max_points * weight) filter (where is_applicable), 0)
  end::numeric(18, 6) as score,
  max(recorded_at) as source_max_recorded_at
from {{ ref('stg_quality__review_items') }}
where status = 'published' and not is_calibration
group by tenant_id, review_id, call_id, agent_id, reviewer_id, form_version
