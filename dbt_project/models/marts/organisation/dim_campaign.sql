select
  tenant_id,
  campaign_id,
  platform,
  external_id,
  name,
  status,
  created_at,
  updated_at
from {{ ref('stg_crm__campaigns') }}
