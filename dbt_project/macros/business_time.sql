{# Open seconds from the beginning of a calendar until an instant; `day` is the row of int_open_days of the instant's UTC
   day. The difference of two such figures is the business time between two instants. #}
{% macro open_seconds_until(day, instant) -%}
({{ day }}.open_before_s + (
  select coalesce(sum(extract(epoch from upper(span) - lower(span))), 0)
  from unnest({{ day }}.open * tstzmultirange(tstzrange(null, {{ instant }}))) as span
))
{%- endmacro %}


{# The first instant at which a zone's wall clock shows a time, or has jumped past it: what comes twice begins the first
   time, what is skipped begins where the clock jumps (PostgreSQL takes the second time, and goes on as if nothing had
   jumped). Looked for only where the clock was put within the hour. #}
{% macro first_instant(wall, timezone) -%}
case
  when (({{ wall }} at time zone {{ timezone }}) - interval '1 hour') at time zone {{ timezone }}
    = {{ wall }} - interval '1 hour'
    and (({{ wall }} at time zone {{ timezone }}) at time zone {{ timezone }}) = {{ wall }}
    then {{ wall }} at time zone {{ timezone }}
  else (
    select min(moment) from generate_series(
      ({{ wall }} at time zone {{ timezone }}) - interval '1 hour', {{ wall }} at time zone {{ timezone }},
      interval '1 minute'
    ) as moment
    where moment at time zone {{ timezone }} >= {{ wall }}
  )
end
{%- endmacro %}
