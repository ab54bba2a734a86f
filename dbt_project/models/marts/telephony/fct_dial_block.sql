{{ config(materialized='view', contract={'enforced': false}) }}

-- Every reason of the firm beside every day of a campaign, so that each is a share of all that was to be dialled.

with days as (

  select
    tenant_id,
    campaign_id,
    dialed_on,
    count(*) filter (where is_attempt or is_blocked) as wanted
  from {{ ref('fct_dial_attempt') }}
  group by tenant_id, campaign_id, dialed_on

),

reasons as (

  select distinct tenant_id, block_reason from {{ ref('fct_dial_attempt') }} where is_blocked

),

blocked as (

  select tenant_id, campaign_id, dialed_on, block_reason, count(*) as blocked
  from {{ ref('fct_dial_attempt') }}
  where is_blocked
  group by tenant_id, campaign_id, dialed_on, block_reason

)

select
  days.tenant_id,
  days.campaign_id::text || ':' || days.dialed_on || ':' || reasons.block_reason as dial_block_key,
  days.campaign_id,
  days.dialed_on,
  reasons.block_reason,
  days.wanted,
  coalesce(blocked.blocked, 0) as blocked
from days
join reasons using (tenant_id)
left join blocked using (tenant_id, campaign_id, dialed_on, block_reason)
