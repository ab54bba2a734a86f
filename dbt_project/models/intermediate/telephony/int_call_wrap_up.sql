{{ config(
    materialized='incremental',
    incremental_strategy='append',
    schema='int',
    tags=['telephony'],
    on_schema_change='append_new_columns',
    indexes=[{'columns': ['tenant_id', 'call_id']}]
) }}

-- Kept by call, so that whoever rebuilds a call need not look through all that agents ever did. An end is told once and
-- never taken back: rows are only added.

select
  wraps.tenant_id,
  wraps.call_id,
  wraps.agent_id,
  wraps.team_id,
  wraps.event_id,
  wraps.tx_id,
  wraps.started_at,
  wraps.ended_at,
  wraps.wrap_end_reason,
  greatest(extract(epoch from wraps.ended_at - wraps.started_at), 0)::numeric(18, 6) as wrap_s,
  wraps.recorded_at,
  wraps.tx_id::text::bigint as source_max_tx_id
from {{ ref('stg_telephony__wrap_ups') }} as wraps
{% if is_incremental() %}
  where {{ is_news('wraps', this) }}
{% endif %}
