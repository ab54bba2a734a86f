{{ config(materialized='view') }}

-- Of each domain of the marts, the latest event that what is published knows of.

with latest as (

  select tenant_id, 'leads' as domain, max(source_max_recorded_at) as recorded_at
  from {{ ref('fct_lead_cycle') }}
  group by tenant_id

  union all

  select tenant_id, 'telephony' as domain, max(source_max_recorded_at) as recorded_at
  from {{ ref('fct_call') }}
  group by tenant_id

)

select
  tenant_id,
  domain,
  recorded_at,
  (recorded_at at time zone 'UTC')::date as recorded_on
from latest
