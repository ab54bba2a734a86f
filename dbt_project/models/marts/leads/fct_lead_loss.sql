{{ config(materialized='view') }}

-- A share of all losses needs the losses for other reasons beside those for one: every loss stands under every reason.

with losses as (

  select
    tenant_id,
    lead_cycle_key,
    lost_on,
    coalesce(loss_reason, 'unspecified') as reason
  from {{ ref('fct_lead_cycle') }}
  where status = 'lost'

),

reasons as (

  select distinct tenant_id, reason from losses

)

select
  losses.tenant_id,
  losses.lead_cycle_key,
  losses.lead_cycle_key || ':' || reasons.reason as loss_key,
  reasons.reason,
  losses.lost_on,
  (losses.reason = reasons.reason)::int as is_reason
from losses
join reasons on reasons.tenant_id = losses.tenant_id
