-- One per contact: the latest answer that came within 72 hours of its end. No answer stays, as a survey without
-- a score.

with answers as (

  select
    *,
    responded_at is not null
    and score between 1 and 5
    and responded_at <= contact_ended_at + interval '{{ var("survey_hours") }} hours' as is_valid
  from {{ ref('stg_quality__survey_responses') }}

)

select distinct on (tenant_id, call_id)
  tenant_id,
  call_id,
  survey_id,
  contact_id,
  agent_id,
  queue,
  (contact_ended_at at time zone timezone)::date as contacted_on,
  case when is_valid then score end as score,
  case when is_valid then is_resolved end as is_resolved,
  coalesce(is_valid, false) as is_valid,
  sent_at,
  case when is_valid then responded_at end as responded_at,
  recorded_at as source_max_recorded_at
from answers
order by tenant_id, call_id, coalesce(is_valid, false) desc, responded_at desc nulls last, survey_id
