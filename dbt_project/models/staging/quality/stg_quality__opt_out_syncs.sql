-- Opt-outs are not synchronised with anybody yet: this is the shape, one row per opt-out and destination.
select
  null::uuid as tenant_id,
  null::uuid as opt_out_id,
  null::text as destination,
  null::text as timezone,
  null::timestamptz as opted_out_at,
  null::timestamptz as acknowledged_at,
  null::timestamptz as recorded_at
where false
