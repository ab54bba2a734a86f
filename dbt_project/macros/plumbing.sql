{# A model's schema is exactly what its folder says: stg, int, marts. What is made as of an instant
   (orchestration/as_of.py) stands in a schema of its own, all of it, with a horizon of its own. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ env_var('SANTRAL_DBT_AS_OF', '') or custom_schema_name or target.schema }}
{%- endmacro %}


{# Fix up to which transaction this run reads events. Everything below it has ended, so every model of the run sees the
   same set, however long the run takes and whatever commits meanwhile. What has been recorded beyond the horizon (a long
   transaction holds it back) is not in the marts, so they are as of its first event at the latest. Builds that are pinned
   for the same thing read the events of the first of them, so that their domains tell of one instant. #}
{% macro pin_horizon() %}
{%- if not env_var('SANTRAL_DBT_AS_OF', '') -%}
insert into ops.horizon as pinned (tx_id, pinned_at, pinned_for)
select
  horizon,
  least(clock_timestamp(), (select min(created_at) from crm.event_log where tx_id >= horizon)),
  nullif('{{ env_var("SANTRAL_DBT_PINNED_FOR", "") }}', '')
from crm.event_horizon() as horizon
on conflict (only_one) do update
set tx_id = excluded.tx_id, pinned_at = excluded.pinned_at, pinned_for = excluded.pinned_for
where pinned.pinned_for is null or pinned.pinned_for is distinct from excluded.pinned_for
{%- endif -%}
{% endmacro %}


{# Words as a list of SQL strings. #}
{% macro quoted(words) -%}
'{{ words | join("', '") }}'
{%- endmacro %}
