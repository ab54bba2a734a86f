select
  tenant_id,
  incident_id,
  kind,
  happened_at,
  (happened_at at time zone timezone)::date as happened_on,
  recorded_at as source_max_recorded_at
from {{ ref('stg_quality__compliance_incidents') }}
