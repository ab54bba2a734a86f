-- The firm's catalogue of pauses, as it was when (R5). What the system gives by itself is always in it.

with changes as (

  select distinct on (tenant_id, valid_from)
    tenant_id,
    valid_from,
    reasons
  from {{ ref('stg_telephony__pause_reason_changes') }}
  order by tenant_id, valid_from, event_id desc

),

catalogues as (

  select tenant_id, '-infinity'::timestamptz as valid_from, null::jsonb as reasons
  from {{ ref('stg_crm__tenants') }}
  union all
  select tenant_id, valid_from, reasons from changes

),

dated as (

  select
    *,
    lead(valid_from) over (partition by tenant_id order by valid_from) as valid_to
  from catalogues

),

defaults (code, kind, is_planned) as (

  values
  ('break', 'external', true),
  ('lunch', 'external', true),
  ('personal', 'external', false),
  ('training', 'internal', true),
  ('meeting', 'internal', true),
  ('other_work', 'internal', false),
  ('technical', 'internal', false)

),

given (code, kind, is_planned) as (

  values
  ('missed_calls', 'external', false),
  ('exchange', 'external', false)

)

select dated.tenant_id, told.code, told.kind, told.is_planned, dated.valid_from, dated.valid_to
from dated
cross join lateral jsonb_to_recordset(dated.reasons) as told (code text, kind text, is_planned boolean)
where dated.reasons is not null
union all
select dated.tenant_id, defaults.code, defaults.kind, defaults.is_planned, dated.valid_from, dated.valid_to
from dated
cross join defaults
where dated.reasons is null
union all
select dated.tenant_id, given.code, given.kind, given.is_planned, dated.valid_from, dated.valid_to
from dated
cross join given
