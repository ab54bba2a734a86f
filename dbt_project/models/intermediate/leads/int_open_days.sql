-- Business time by multiranges: what is open on each UTC day, and how much was open before it, so that the open seconds
-- between two instants are a difference of two look-ups. Calendars as crm/calendars has them: the narrowest level's
-- latest week by the date, the last word about a date (a team's before the firm's, the firm's own before a holiday).
-- What is said holds from a coming date on, so today's calendar is also that of every past day.

with whose as (

  select tenant_id, '{{ var("no_team") }}'::uuid as team_id, timezone from {{ ref('stg_crm__tenants') }}
  union all
  select teams.tenant_id, teams.team_id, coalesce(teams.timezone, tenants.timezone) as timezone
  from {{ ref('stg_crm__teams') }} as teams
  join {{ ref('stg_crm__tenants') }} as tenants using (tenant_id)

),

bounds as (

  select
    tenants.tenant_id,
    coalesce(
      (
        select leads.received_at from {{ ref('stg_crm__leads') }} as leads
        where leads.tenant_id = tenants.tenant_id order by leads.received_at limit 1
      ),
      horizon.pinned_at
    )::date - 2 as first_day,
    horizon.pinned_at::date + 2 as last_day
  from {{ ref('stg_crm__tenants') }} as tenants
  cross join {{ source('ops', 'horizon') }} as horizon

),

dates as (

  select
    whose.tenant_id,
    whose.team_id,
    whose.timezone,
    bounds.first_day + step.n as day
  from whose
  join bounds using (tenant_id)
  -- A date's hours may begin or end a day away in UTC, and pass midnight.
  cross join lateral generate_series(-3, bounds.last_day - bounds.first_day + 3) as step (n)

),

said as (

  select
    dates.tenant_id,
    dates.team_id,
    dates.day,
    coalesce(week.timezone, zone.timezone, dates.timezone) as timezone,
    special.kind,
    case when special.kind = 'closed' then coalesce(special.closed_from_minute, 0) end as closed_from_minute,
    case
      when special.kind = 'hours' then special.hours
      else coalesce(week.hours, '{{ var("default_hours") }}'::jsonb)
    end as hours
  from dates
  left join lateral (
    select weeks.hours, weeks.timezone
    from {{ ref('stg_crm__calendar_weeks') }} as weeks
    where weeks.tenant_id = dates.tenant_id
      and (weeks.team_id is null or weeks.team_id = dates.team_id)
      and weeks.valid_from <= dates.day
    order by weeks.team_id is not null desc, weeks.valid_from desc, weeks.created_at desc, weeks.calendar_week_id desc
    limit 1
  ) as week on true
  left join lateral (
    select days.kind, days.closed_from_minute, days.hours
    from {{ ref('stg_crm__calendar_days') }} as days
    where days.tenant_id = dates.tenant_id
      and (days.team_id is null or days.team_id = dates.team_id)
      and days.day = dates.day
    order by days.team_id is not null desc, days.is_own desc, days.created_at desc, days.calendar_day_id desc
    limit 1
  ) as special on true
  left join lateral (
    -- The zone a team was in, from the day after it moved there; before its first move the first one.
    select zones.timezone
    from {{ ref('dim_team_version') }} as zones
    where zones.tenant_id = dates.tenant_id
      and zones.team_id = dates.team_id
      and (zones.version_no = 1 or (zones.valid_from at time zone zones.timezone)::date < dates.day)
    order by zones.version_no desc
    limit 1
  ) as zone on true

),

spans as (

  select
    said.tenant_id,
    said.team_id,
    {{ first_instant('(said.day + make_interval(mins => opening.opens))', 'said.timezone') }} as begins,
    {{ first_instant('(said.day + make_interval(mins => opening.closes))', 'said.timezone') }} as ends
  from said
  join lateral (
    select
      (item.value ->> 1)::int as opens,
      least((item.value ->> 2)::int, said.closed_from_minute) as closes
    from jsonb_array_elements(said.hours) as item
    where said.kind = 'hours' or (item.value ->> 0)::int = extract(isodow from said.day)::int - 1
  ) as opening on true
  where opening.opens < opening.closes

),

sliced as (

  select
    spans.tenant_id,
    spans.team_id,
    slice.day::date as utc_day,
    range_agg(
      tstzrange(spans.begins, spans.ends)
      * tstzrange(slice.day at time zone 'UTC', (slice.day + interval '1 day') at time zone 'UTC')
    ) as open
  from spans
  join lateral generate_series(
    date_trunc('day', spans.begins at time zone 'UTC'), date_trunc('day', spans.ends at time zone 'UTC'),
    interval '1 day'
  ) as slice (day) on true
  group by spans.tenant_id, spans.team_id, slice.day

),

filled as (

  select
    dates.tenant_id,
    dates.team_id,
    dates.day as utc_day,
    coalesce(sliced.open, '{}'::tstzmultirange) as open
  from dates
  left join sliced
    on sliced.tenant_id = dates.tenant_id and sliced.team_id = dates.team_id and sliced.utc_day = dates.day

),

measured as (

  select
    filled.*,
    (select coalesce(sum(extract(epoch from upper(span) - lower(span))), 0) from unnest(filled.open) as span) as open_s
  from filled

)

select
  tenant_id,
  team_id,
  utc_day,
  open,
  open_s,
  sum(open_s) over (partition by tenant_id, team_id order by utc_day) - open_s as open_before_s
from measured
