{# From when on minutes may still get rows: all on the first run, afterwards the last hour of what is held. What is measured
   of requests, probes and readers is written within seconds; a process that cannot write drops its lines sooner. #}
{% macro recent_since() %}
{%- if is_incremental() -%}
(select coalesce(max(held.minute_at), '-infinity') - interval '60 minutes' from {{ this }} as held)
{%- else -%}
'-infinity'::timestamptz
{%- endif -%}
{% endmacro %}
