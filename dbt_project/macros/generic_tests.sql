{# Tests find whole rows, so that it can be told whose they are (orchestration/failing.py); dbt's own of these names find
   columns without the tenant. #}
{% test not_null(model, column_name) %}
select * from {{ model }} where {{ column_name }} is null
{% endtest %}


{% test unique(model, column_name) %}
select * from {{ model }}
where {{ column_name }} in (select {{ column_name }} from {{ model }} group by {{ column_name }} having count(*) > 1)
{% endtest %}


{% test accepted_values(model, column_name, values, quote=true) %}
select * from {{ model }}
where {{ column_name }} not in ({% for value in values %}{{ "'" ~ value ~ "'" if quote else value }}{{ ', ' if not loop.last }}{% endfor %})
{% endtest %}


{% test relationships(model, column_name, to, field) %}
select child.*
from {{ model }} as child
where child.{{ column_name }} is not null
  and not exists (select from {{ to }} as parent where parent.{{ field }} = child.{{ column_name }})
{% endtest %}


{# The columns together identify a row. #}
{% test unique_together(model, columns) %}
select {{ columns | join(', ') }}, count(*) as rows
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}


{# A condition that every row satisfies (null counts as satisfied, as in a check constraint). #}
{% test holds(model, condition) %}
select * from {{ model }} where not ({{ condition }})
{% endtest %}


{# Every row finds its parent within its own tenant. #}
{% test belongs_to(model, columns, to, parent_columns) %}
select child.*
from {{ model }} as child
where {% for column in columns if column != 'tenant_id' %}child.{{ column }} is not null and {% endfor %}not exists (
  select from {{ to }} as parent
  where {% for column in columns %}parent.{{ parent_columns[loop.index0] }} = child.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
)
{% endtest %}


{# Of every tenant, as many rows are of the whole as of its parts together: none is in no part, none in two. #}
{% test conserves(model, whole, parts) %}
select tenant_id
from {{ model }}
group by tenant_id
having count(*) filter (where {{ whole }})
  <> {% for part in parts %}count(*) filter (where {{ part }}){{ ' + ' if not loop.last }}{% endfor %}

{% endtest %}


{# Columns hold the sums of another relation's columns by a key; a key without rows there sums up to nothing. #}
{% test sums_up(model, key, columns, of, only) %}
with summed as (
  select
    {{ key | join(', ') }}
    {%- for column in columns.values() %},
    sum({{ column }}) as {{ column }}
    {%- endfor %}
  from {{ of }}
  where {{ only }}
  group by {{ key | join(', ') }}
)
select whole.*
from {{ model }} as whole
left join summed using ({{ key | join(', ') }})
where {% for name, column in columns.items() %}whole.{{ name }} <> coalesce(summed.{{ column }}, 0){{ ' or ' if not loop.last }}{% endfor %}

{% endtest %}


{# Of each account's days of ads for which a platform reports leads, so many have arrived a day after: what it calls the day
   may end half a day later than that of UTC. Days that it restates no more are done with. #}
{% test leads_arrive(model, share) %}
select
  tenant_id,
  platform || ' ' || account_id || ' ' || spend_on as account_day,
  sum(leads) as leads,
  sum(platform_leads) as platform_leads
from {{ model }}
cross join {{ source('ops', 'horizon') }} as horizon
where platform_leads > 0
  and horizon.pinned_at between spend_on + interval '60 hours' and spend_on + interval '{{ var("restatement_days") }} days'
group by tenant_id, platform, account_id, spend_on
having sum(leads) < {{ share }} * sum(platform_leads)
{% endtest %}
