{{ config(materialized='view', tags=['telephony']) }}

-- Every word about a threshold or target: what holds where nobody said otherwise, what the firm said, and what it said
-- of a queue, where nothing (null) gives the queue back to what holds for the firm. Defaults are those of the CRM.

with defaults as (

  select
    tenants.tenant_id,
    defaults.target,
    defaults.value::numeric(18, 6) as value
  from {{ ref('stg_crm__tenants') }} as tenants
  cross join (
    values
    ('service_level_s', 20),
    ('short_abandon_s', 5),
    ('service_level_target', 0.8),
    ('speed_to_lead_s', 300),
    ('drop_rate_us', 0.03)
  ) as defaults (target, value)

),

of_firms as (

  select
    tenant_id,
    target,
    value,
    '' as said_id,
    '-infinity'::timestamptz as valid_from
  from defaults
  union all
  select
    tenant_id,
    target,
    value,
    lpad(said_id::text, 20, '0') as said_id,
    valid_from
  from {{ ref('stg_telephony__promise_changes') }}

),

of_queues as (

  select
    settings.tenant_id,
    settings.queue_id,
    settings.said_id,
    settings.valid_from,
    promises.target,
    promises.value::numeric(18, 6) as value
  from {{ ref('stg_telephony__queue_settings') }} as settings
  cross join lateral (
    values
    ('service_level_s', settings.sl_s),
    ('short_abandon_s', settings.short_s),
    ('service_level_target', settings.sl_target)
  ) as promises (target, value)

)

select
  tenant_id,
  'firm:' || target as target_key,
  said_id,
  'firm' as scope,
  null::uuid as queue_id,
  target,
  value,
  valid_from
from of_firms
union all
select
  tenant_id,
  queue_id || ':' || target as target_key,
  said_id::text as said_id,
  'queue' as scope,
  queue_id,
  target,
  value,
  valid_from
from of_queues
