-- No incident is recorded yet: this is the shape of one that was found.
select
  null::uuid as tenant_id,
  null::uuid as incident_id,
  null::text as kind,
  null::text as timezone,
  null::timestamptz as happened_at,
  null::timestamptz as recorded_at
where false
