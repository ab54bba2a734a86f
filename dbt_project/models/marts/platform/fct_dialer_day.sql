-- How long each dialling campaign ran on each day of the firm's zone (R2: T, cut at midnight).

with steps as (

  select
    *,
    lead(occurred_at) over (partition by tenant_id, campaign_id order by occurred_at, event_id) as next_at
  from {{ ref('stg_platform__campaign_events') }}

),

runs as (

  select
    steps.tenant_id,
    steps.campaign_id,
    tenants.timezone,
    steps.occurred_at as started_at,
    coalesce(steps.next_at, horizon.pinned_at) as ended_at,
    steps.recorded_at
  from steps
  join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)
  cross join {{ source('ops', 'horizon') }} as horizon
  where steps.event_type = 'dial_campaign.started' and coalesce(steps.next_at, horizon.pinned_at) > steps.occurred_at

),

days as (

  select
    runs.*,
    day::date as ran_on
  from runs
  cross join generate_series(
    date_trunc('day', runs.started_at at time zone runs.timezone),
    runs.ended_at at time zone runs.timezone,
    interval '1 day'
  ) as day

)

select
  tenant_id,
  campaign_id,
  ran_on,
  campaign_id || ':' || ran_on as campaign_day_key,
  extract(
    epoch from sum(
      least(ended_at, (ran_on + 1)::timestamp at time zone timezone)
      - greatest(started_at, ran_on::timestamp at time zone timezone)
    )
  )::numeric(18, 6) as running_s,
  max(recorded_at) as source_max_recorded_at
from days
group by tenant_id, campaign_id, ran_on
