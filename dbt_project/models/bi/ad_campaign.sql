select
  tenant_id,
  campaign_id,
  platform,
  external_id,
  external_id as campaign,
  name,
  status
from {{ ref('dim_campaign') }}
