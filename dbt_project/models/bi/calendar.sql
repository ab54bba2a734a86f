select
  date_day,
  iso_year,
  iso_week,
  iso_weekday,
  month_start,
  quarter_start
from {{ ref('dim_date') }}
