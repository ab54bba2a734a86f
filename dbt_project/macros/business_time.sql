{# Open seconds from the beginning of a calendar until an instant; `day` is the row of int_open_days of the instant's UTC
   day. The difference of two such figures is the business time between two instants. #}
{% macro open_seconds_until(day, instant) -%}
({{ day }}.open_before_s + (
  select coalesce(sum(extract(epoch from upper(span) - lower(span))), 0)
  from unnest({{ day }}.open * tstzmultirange(tstzrange(null, {{ instant }}))) as span
))
{%- endmacro %}
