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
