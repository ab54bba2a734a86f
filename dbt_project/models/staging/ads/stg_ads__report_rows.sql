-- Only what passed the gate, and of that the latest version of each report: a bad version leaves the last good one.

with good as (

  select distinct on (reports.tenant_id, reports.source, reports.natural_key)
    reports.tenant_id,
    reports.payload_id
  from {{ source('raw', 'ad_report') }} as reports
  join {{ source('raw', 'payload_verdict') }} as verdicts using (tenant_id, payload_id)
  where verdicts.passed
  order by reports.tenant_id, reports.source, reports.natural_key, reports.fetched_at desc, reports.payload_id desc

),

source as (

  select report_rows.*
  from {{ source('raw', 'ad_report_row') }} as report_rows
  join good using (tenant_id, payload_id)

),

renamed as (

  select
    -- ids
    tenant_id,
    payload_id,
    account_id,
    campaign_id,
    adset_id,
    ad_id,

    -- strings
    source as platform,
    currency,
    account_zone,

    -- numbers
    spend,
    impressions,
    clicks,
    platform_leads,

    -- timestamps
    day::date as spend_on,
    fetched_at

  from source

)

select * from renamed
