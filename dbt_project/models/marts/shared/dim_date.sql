select
  day::date as date_day,
  extract(isoyear from day)::int as iso_year,
  extract(week from day)::int as iso_week,
  extract(isodow from day)::int as iso_weekday,
  date_trunc('month', day)::date as month_start,
  date_trunc('quarter', day)::date as quarter_start
from {{ source('ops', 'horizon') }} as horizon
cross join generate_series(
  timestamp '2015-01-01',
  date_trunc('year', horizon.pinned_at at time zone 'UTC') + interval '3 years',
  interval '1 day'
) as day
