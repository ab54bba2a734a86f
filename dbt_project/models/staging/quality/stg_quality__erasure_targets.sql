-- Erasure on request has no ledger yet: this is the shape, one row per request and place to be erased and verified.
select
  null::uuid as tenant_id,
  null::uuid as request_id,
  null::text as target,
  null::boolean as is_on_legal_hold,
  null::text as timezone,
  null::timestamptz as requested_at,
  null::timestamptz as verified_at,
  null::timestamptz as recorded_at
where false
