select
  tenant_id,
  platform,
  account_id,
  spend_on,
  campaign_id,
  adset_id,
  ad_id,
  currency,
  spend,
  source_max_recorded_at as updated_at
from {{ ref('fct_ad_spend_daily') }}
