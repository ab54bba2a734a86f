-- What an ad cost on a day beside what came of the leads that enquired through it on that day, days in the account's
-- own zone. Leads without an ad are organic and stand elsewhere; of a reopened lead only its first cycle was acquired.

with zones as (

  select tenant_id, platform, campaign_id, max(account_id) as account_id, max(account_zone) as account_zone
  from {{ ref('fct_ad_spend_daily') }}
  group by tenant_id, platform, campaign_id

),

revenue as (

  select tenant_id, lead_id, cycle_no, sum(net_amount) as revenue_90d
  from {{ ref('fct_sale') }}
  where is_within_90d
  group by tenant_id, lead_id, cycle_no

),

acquired as (

  select
    cycles.tenant_id,
    cycles.platform,
    coalesce(zones.account_id, '') as account_id,
    cycles.campaign as campaign_id,
    case when cycles.adset = 'unknown' then '' else cycles.adset end as adset_id,
    cycles.ad as ad_id,
    (cycles.acquired_at at time zone coalesce(zones.account_zone, tenants.timezone))::date as day,
    count(*) as leads,
    count(*) filter (where not cycles.is_duplicate) as unique_leads,
    count(*) filter (where cycles.qualified_at is not null) as qualified,
    count(*) filter (where cycles.is_won_90d) as won,
    coalesce(sum(revenue.revenue_90d), 0) as revenue_90d
  from {{ ref('fct_lead_cycle') }} as cycles
  join {{ ref('stg_crm__tenants') }} as tenants on tenants.tenant_id = cycles.tenant_id
  left join zones
    on zones.tenant_id = cycles.tenant_id
    and zones.platform = cycles.platform
    and zones.campaign_id = cycles.campaign
  left join revenue
    on revenue.tenant_id = cycles.tenant_id
    and revenue.lead_id = cycles.lead_id
    and revenue.cycle_no = cycles.cycle_no
  where cycles.cycle_no = 1 and not cycles.is_test and cycles.ad <> 'unknown' and cycles.campaign <> 'unknown'
  group by cycles.tenant_id, cycles.platform, zones.account_id, cycles.campaign, adset_id, cycles.ad, day

),

spent as (

  select
    spend.tenant_id,
    spend.platform,
    spend.account_id,
    spend.campaign_id,
    spend.adset_id,
    spend.ad_id,
    spend.spend_on as day,
    sum(spend.spend * case when spend.currency = tenants.currency then 1 else rates.rate end) as spend,
    bool_or(spend.currency <> tenants.currency and rates.rate is null) as is_unpriced,
    sum(spend.platform_leads) as platform_leads,
    bool_and(spend.is_final) as is_final
  from {{ ref('fct_ad_spend_daily') }} as spend
  join {{ ref('stg_crm__tenants') }} as tenants on tenants.tenant_id = spend.tenant_id
  left join {{ ref('dim_fx_daily') }} as rates
    on rates.tenant_id = spend.tenant_id
    and rates.currency = spend.currency
    and rates.rate_on = spend.spend_on
  group by
    spend.tenant_id, spend.platform, spend.account_id, spend.campaign_id, spend.adset_id, spend.ad_id, spend.spend_on

)

select
  tenant_id,
  platform,
  account_id,
  campaign_id,
  adset_id,
  ad_id,
  day as spend_on,
  md5(concat_ws('|', platform, account_id, campaign_id, adset_id, ad_id, day)) as ad_result_key,
  case when not coalesce(spent.is_unpriced, false) then coalesce(spent.spend, 0) end::numeric(18, 6) as spend,
  coalesce(spent.platform_leads, 0)::numeric(18, 6) as platform_leads,
  null::numeric(18, 6) as platform_revenue,
  coalesce(acquired.leads, 0)::int as leads,
  coalesce(acquired.unique_leads, 0)::int as unique_leads,
  coalesce(acquired.qualified, 0)::int as qualified,
  coalesce(acquired.won, 0)::int as won,
  coalesce(acquired.revenue_90d, 0)::numeric(18, 3) as revenue_90d,
  coalesce(spent.is_final, false) as is_final
from spent
full join acquired using (tenant_id, platform, account_id, campaign_id, adset_id, ad_id, day)
