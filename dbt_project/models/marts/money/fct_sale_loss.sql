{{ config(materialized='view') }}

-- Customers lost: sales that were cancelled. A share of all needs those for other reasons beside those for one: each
-- stands under every reason.

with losses as (

  select
    tenant_id,
    sale_entry_key,
    lead_cycle_key,
    agent_id,
    team_id,
    booked_on as lost_on,
    coalesce(cancel_reason, 'unspecified') as reason
  from {{ ref('fct_sale') }}
  where entry = 'cancellation'

),

reasons as (

  select distinct tenant_id, reason from losses

)

select
  losses.tenant_id,
  losses.lead_cycle_key,
  losses.sale_entry_key || ':' || reasons.reason as loss_key,
  losses.agent_id,
  losses.team_id,
  reasons.reason,
  losses.lost_on,
  (losses.reason = reasons.reason)::int as is_reason
from losses
join reasons on reasons.tenant_id = losses.tenant_id
