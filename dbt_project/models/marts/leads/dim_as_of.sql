select
  tenants.tenant_id,
  horizon.pinned_at as as_of
from {{ ref('stg_crm__tenants') }} as tenants
cross join {{ source('ops', 'horizon') }} as horizon
