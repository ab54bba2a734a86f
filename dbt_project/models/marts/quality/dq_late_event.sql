{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['tenant_id', 'source', 'recorded_on'],
    on_schema_change='append_new_columns'
) }}

-- How late the log was told of what happened. Facts are derived per entity, so that what comes late, however late,
-- changes history at once; what is older than a reader expects is counted here with how far back it reaches. Nobody
-- looks through the whole log for that: news are added to what was counted before.

with arrivals as (

  select
    arrivals.*,
    tenants.timezone,
    not arrivals.is_historical
    and arrivals.recorded_at > arrivals.occurred_at + interval '{{ var("lateness_days") }} days' as is_late
  from {{ ref('stg_quality__event_arrivals') }} as arrivals
  join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
  {% if is_incremental() %}
    where {{ is_news('arrivals', this) }}
  {% endif %}

),

news as (

  select
    tenant_id,
    source,
    (recorded_at at time zone timezone)::date as recorded_on,
    count(*) as events,
    count(*) filter (where is_late) as late_events,
    count(*) filter (where is_historical) as historical_events,
    min((occurred_at at time zone timezone)::date) filter (where is_late) as reaches_back_to,
    max(extract(epoch from recorded_at - occurred_at)) filter (where is_late) as longest_s,
    max(recorded_at) as source_max_recorded_at,
    max(tx_id::text::bigint) as source_max_tx_id
  from arrivals
  group by tenant_id, source, recorded_on

),

counted as (

  select * from news
  {% if is_incremental() %}
    union all
    select
      held.tenant_id,
      held.source,
      held.recorded_on,
      held.events,
      held.late_events,
      held.historical_events,
      held.reaches_back_to,
      held.longest_s,
      held.source_max_recorded_at,
      held.source_max_tx_id
    from {{ this }} as held
    join news using (tenant_id, source, recorded_on)
  {% endif %}

)

select
  tenant_id,
  source,
  recorded_on,
  sum(events)::bigint as events,
  sum(late_events)::bigint as late_events,
  sum(historical_events)::bigint as historical_events,
  min(reaches_back_to) as reaches_back_to,
  max(longest_s)::numeric(18, 6) as longest_s,
  max(source_max_recorded_at) as source_max_recorded_at,
  max(source_max_tx_id) as source_max_tx_id
from counted
group by tenant_id, source, recorded_on
