-- Built last: it says up to which instant the published lead marts of a tenant hold everything.
-- depends_on: {{ ref('fct_lead_stage_reached') }}

with held as (

  select tenant_id, max(source_max_recorded_at) as source_max_recorded_at
  from {{ ref('fct_lead_cycle') }}
  group by tenant_id

)

select
  tenants.tenant_id,
  horizon.pinned_at as as_of,
  held.source_max_recorded_at
from {{ ref('stg_crm__tenants') }} as tenants
cross join {{ source('ops', 'horizon') }} as horizon
left join held on held.tenant_id = tenants.tenant_id
