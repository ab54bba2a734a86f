{# A view that BI tools read. dbt holds it to its contract (names and types of columns) over `marts`; it is made over
   `published` by the publication (orchestration/bi_views.py), so that it never shows what has not passed the gate. #}
{% materialization bi_view, adapter='postgres' %}
  {% call statement('main') %}
    select * from ({{ sql }}) as contract where false
  {% endcall %}
  {%- do get_assert_columns_equivalent(sql) -%}
  {{ return({'relations': []}) }}
{% endmaterialization %}
