-- No survey is asked yet: this is the shape its answers will have, one row per survey that was sent.
select
  null::uuid as tenant_id,
  null::uuid as survey_id,
  null::uuid as call_id,
  null::uuid as contact_id,
  null::uuid as agent_id,
  null::text as queue,
  null::text as timezone,
  null::int as score,
  null::boolean as is_resolved,
  null::timestamptz as contact_ended_at,
  null::timestamptz as sent_at,
  null::timestamptz as responded_at,
  null::timestamptz as recorded_at
where false
