{{ config(materialized='view') }}

-- A cycle that holds or held rank k has reached every stage up to k: skips fill downwards, the funnel is monotone. The
-- stages it has not reached are rows too, so that nobody reaching a stage is a measured zero and not a missing row.

with stages as (

  select distinct stage, rank from {{ ref('dim_stage_map') }} where rank is not null

)

select
  cycles.tenant_id,
  cycles.lead_id,
  cycles.cycle_no,
  cycles.lead_cycle_key || ':' || stages.rank as lead_stage_key,
  stages.stage,
  stages.rank,
  stages.rank <= cycles.max_rank as is_reached,
  case when stages.rank < 5 then stages.rank < cycles.max_rank end as is_next_reached,
  cycles.source,
  cycles.platform,
  cycles.campaign,
  cycles.adset,
  cycles.ad,
  cycles.form,
  cycles.first_owner_id,
  cycles.first_team_id,
  cycles.received_on,
  cycles.is_test,
  cycles.is_duplicate
from {{ ref('fct_lead_cycle') }} as cycles
cross join stages
