{# What was said of entities, each time from an instant on, as versions: from when to when each held. Of several things
   said of one instant the latest (by `said_id`) holds; saying the same again makes no version. The first version holds
   since ever: imported history is older than what is known of who and what it is about.

   `said`: a relation with `tenant_id`, `entity`, `said_id`, `valid_from` and `columns`. #}
{% macro versions(said, entity, columns) %}
with latest as (

  select distinct on (tenant_id, {{ entity }}, valid_from) *
  from {{ said }}
  order by tenant_id, {{ entity }}, valid_from, said_id desc

),

compared as (

  select
    *,
    lag(array[{% for column in columns %}{{ column }}::text{{ ', ' if not loop.last }}{% endfor %}]) over life as before,
    array[{% for column in columns %}{{ column }}::text{{ ', ' if not loop.last }}{% endfor %}] as after
  from latest
  window life as (partition by tenant_id, {{ entity }} order by valid_from)

),

numbered as (

  select
    *,
    row_number() over life as version_no,
    lead(valid_from) over life as valid_to
  from compared
  where before is distinct from after
  window life as (partition by tenant_id, {{ entity }} order by valid_from)

)

select
  tenant_id,
  {{ entity }},
  version_no::int as version_no,
  {%- for column in columns %}
  {{ column }},
  {%- endfor %}
  case when version_no = 1 then '-infinity' else valid_from end as valid_from,
  valid_to
from numbered
{% endmacro %}
