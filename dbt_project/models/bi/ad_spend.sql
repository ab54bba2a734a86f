select
  tenant_id,
  platform,
  account_id,
  spend_on,
  campaign_id,
  adset_id,
  ad_id,
  concat_ws('|', platform, account_id, to_char(spend_on, 'YYYY-MM-DD'), campaign_id, adset_id, ad_id) as ad_day_key,
  currency,
  spend,
  source_max_recorded_at as updated_at
from {{ ref('fct_ad_spend_daily') }}
