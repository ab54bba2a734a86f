select
  tenant_id,
  platform,
  account_id,
  account_zone,
  spend_on,
  campaign_id,
  coalesce(adset_id, '') as adset_id,
  coalesce(ad_id, '') as ad_id,
  currency,
  spend::numeric(18, 6) as spend,
  impressions,
  clicks,
  platform_leads::numeric(18, 6) as platform_leads,
  -- Platforms restate recent days; the report that was fetched after that time is final.
  fetched_at >= spend_on + interval '{{ var("restatement_days") }} days' as is_final,
  fetched_at as source_max_recorded_at
from {{ ref('stg_ads__report_rows') }}
