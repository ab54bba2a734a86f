select
  tenant_id,
  campaign_id,
  platform,
  external_id,
  name,
  status
from {{ ref('dim_campaign') }}
