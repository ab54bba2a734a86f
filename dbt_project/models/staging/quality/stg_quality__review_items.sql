-- No call is reviewed yet: this is the shape reviews will have, one row per review and item of its form.
select
  null::uuid as tenant_id,
  null::uuid as review_id,
  null::uuid as call_id,
  null::uuid as agent_id,
  null::uuid as reviewer_id,
  null::int as form_version,
  null::text as status,
  null::boolean as is_calibration,
  null::text as item,
  null::numeric as points,
  null::numeric as max_points,
  null::numeric as weight,
  null::boolean as is_applicable,
  null::boolean as is_auto_fail,
  null::text as timezone,
  null::timestamptz as reviewed_at,
  null::timestamptz as recorded_at
where false
