{{ config(materialized='view') }}

-- Entries into a stage and into the one after it stand side by side under the name of the first, each on its own day,
-- so that one division compares what moved on in a period with what came in.

select
  cycles.tenant_id,
  cycles.lead_cycle_key,
  cycles.lead_cycle_key || ':' || stages.stage || ':' || entries.entered as stage_entry_key,
  stages.stage,
  entries.entered_on,
  entries.entered,
  1 - entries.entered as entered_next
from {{ ref('fct_lead_cycle') }} as cycles
join lateral (
  values
  ('lead', cycles.received_on, cycles.contacted_on),
  ('contacted', cycles.contacted_on, cycles.qualified_on),
  ('qualified', cycles.qualified_on, cycles.proposal_on),
  ('proposal', cycles.proposal_on, cycles.sale_reached_on)
) as stages (stage, entered_on, next_entered_on) on true
join lateral (
  values
  (stages.entered_on, 1),
  (stages.next_entered_on, 0)
) as entries (entered_on, entered) on true
where entries.entered_on is not null
