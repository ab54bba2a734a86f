{# How relations are made. dbt's own materializations ask the database a dozen things about each relation and fill a table
   that has its key already; these make a relation in one or two statements, and its key when it is filled. Everything of
   one relation happens in one transaction. Nobody reads the workshop while it is built in. #}

{% materialization view, adapter='postgres' %}
  {%- set target = this.incorporate(type='view') -%}
  {%- set held = load_cached_relation(this) -%}
  {% call statement('main') %}
    {{ without(held) if held is not none and not held.is_view }}
    do $made$ begin
      create or replace view {{ target }} with (security_invoker = true) as {{ sql }};
    exception when invalid_table_definition then
      drop view {{ target }} cascade;
      create view {{ target }} with (security_invoker = true) as {{ sql }};
    end $made$;
    {{ kept_contract(target) }}
    {{ commented(target) }}
    {{ readable(target) }}
  {% endcall %}
  {% do adapter.commit() %}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{% materialization table, adapter='postgres' %}
  {%- set target = this.incorporate(type='table') -%}
  {% do make_table(target, load_cached_relation(this), sql) %}
  {% do adapter.commit() %}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# `incremental_strategy`: what goes before the rows of this run come.
   - append: nothing.
   - delete+insert: the rows whose `unique_key` comes again.
   - affected_rebuild: the rows of every entity that has news, so that none is left of an entity all whose rows have
     vanished: see affected_keys.
   The contract says which columns there are. #}
{% materialization incremental, adapter='postgres' %}
  {%- if not config.get('contract').enforced -%}
    {% do exceptions.raise_compiler_error(model.name ~ ' follows events: it needs a contract') %}
  {%- endif -%}
  {%- set target = this.incorporate(type='table') -%}
  {%- set held = load_cached_relation(this) -%}
  {%- if held is none or held.is_view or should_full_refresh() -%}
    {% do make_table(target, held, sql) %}
  {%- else -%}
    {% do follow(target, sql) %}
  {%- endif -%}
  {% do adapter.commit() %}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# A view that BI tools read. dbt holds it to its contract (names and types of columns) over `marts`; it is made over
   `published` by the publication (orchestration/bi_views.py), so that it never shows what has not passed the gate. #}
{% materialization bi_view, adapter='postgres' %}
  {%- set trial = 'pg_temp.' ~ this.identifier -%}
  {% call statement('main') %}
    create temporary view {{ this.identifier }} as {{ sql }};
    {{ kept_contract(trial) }}
    drop view {{ trial }}
  {% endcall %}
  {{ return({'relations': []}) }}
{% endmaterialization %}


{# A table is filled first; its key, what may not be null and its policy come after, which costs a fraction. #}
{% macro make_table(target, held, sql) %}
  {%- set one_by_one = is_by_firm() -%}
  {% call statement('main') %}
    {{ without(held) }}
    create table {{ target }} as {{ promised(sql) }}
    {{ 'with no data' if one_by_one }}
  {% endcall %}
  {% call statement('finish') %}
    {{ kept_contract(target) }}
    {{ constrained(target) }}
    {%- for index in config.get('indexes', []) %}
    create index on {{ target }} ({{ index.columns | join(', ') }});
    {%- endfor %}
    {%- if config.get('materialized') == 'incremental' and 'source_max_tx_id' in model.columns %}
    create index on {{ target }} (source_max_tx_id);
    {%- endif %}
    {{ commented(target) }}
    {{ protect() }}
    {%- if one_by_one %}
    {{ views_of_firm() }}
    {{ by_firm('insert into ' ~ target ~ ' ' ~ of_firm(promised(sql)) ~ ';') }}
    {%- endif %}
    {{ analyzed(target) }}
  {% endcall %}
{% endmacro %}


{# Models that follow plan by how a large table is, not by a guess; nobody else looks at it before they read it. Of a small
   one the guess does. #}
{% macro analyzed(target) -%}
do $analyzed$ begin
  if pg_relation_size('{{ target }}') > {{ 4 * 1024 * 1024 }} then
    analyze {{ target }};
  end if;
end $analyzed$;
{%- endmacro %}


{# Bring a table that follows events up to what this run reads; columns and words that its contract has got since come on
   the way. The few entities that have news are found by indexes, which only here cost little more than reading on. #}
{% macro follow(target, sql) %}
  {%- set held = {} -%}
  {%- for row in run_query(
    "select attname, coalesce(col_description(attrelid, attnum), '') from pg_attribute"
    " where attrelid = '" ~ target ~ "'::regclass and attnum > 0 and not attisdropped"
  ) -%}
    {%- do held.update({row[0]: row[1]}) -%}
  {%- endfor -%}
  {%- set names, strategy = model.columns.keys() | join(', '), config.get('incremental_strategy') -%}
  {%- set one_by_one = is_by_firm() -%}
  {%- set query = of_firm(promised(sql)) if one_by_one else promised(sql) -%}
  {%- if strategy == 'affected_rebuild' -%}
    {%- set news, found = 'affected', of_firm(affected_keys(target)) if one_by_one else affected_keys(target) -%}
    {%- set come = 'insert into ' ~ target ~ ' (' ~ names ~ ') ' ~ query -%}
  {%- else -%}
    {%- set news, found = 'come', query -%}
    {%- set come = 'insert into ' ~ target ~ ' (' ~ names ~ ') select ' ~ names ~ ' from come' -%}
  {%- endif -%}
  {%- set key = config.get('unique_key') | join(', ') if strategy != 'append' -%}
  {%- set gone = 'delete from ' ~ target ~ ' where (' ~ key ~ ') in (select ' ~ key ~ ' from ' ~ news ~ ');' if key -%}
  {% call statement('main') %}
    set local random_page_cost = 1.1;
    {%- for column in model.columns.values() %}
    {%- if column.name not in held %}
    alter table {{ target }} add column {{ column.name }} {{ column.data_type }};
    {%- endif %}
    {%- if held.get(column.name) != column.description %}
    comment on column {{ target }}.{{ column.name }} is {{ postgres_escape_comment(column.description) }};
    {%- endif %}
    {%- endfor %}
    {%- if one_by_one %}
    {{ views_of_firm() }}
    create temporary table {{ news }} on commit drop as {{ found }} with no data;
    {{ by_firm('delete from ' ~ news ~ '; insert into ' ~ news ~ ' ' ~ found ~ '; ' ~ gone ~ ' ' ~ come ~ ';') }}
    {%- else %}
    create temporary table {{ news }} on commit drop as {{ found }};
    {%- if strategy == 'affected_rebuild' %}
    analyze {{ news }};
    {%- endif %}
    {{ gone }}
    {{ come }}
    {%- endif %}
  {% endcall %}
{% endmacro %}


{# A model's query with the columns its contract names, in its order and with its precision; as it is without one. #}
{% macro promised(sql) -%}
{%- if config.get('contract').enforced -%}
select
  {%- for column in model.columns.values() %}
  {{ column.name }}{% if '(' in column.data_type %}::{{ column.data_type }} as {{ column.name }}{% endif %}{{ ',' if not loop.last }}
  {%- endfor %}
from (
{{ sql }}
) as made
{%- else -%}
{{ sql }}
{%- endif -%}
{%- endmacro %}


{# Fails unless a relation has just the columns of its model's contract. #}
{% macro kept_contract(relation) -%}
{%- if config.get('contract').enforced -%}
do $kept$
declare
  wrong text;
begin
  select string_agg(
      coalesce(promised.name || ' is to be ' || promised.type, has.attname || ' is promised to nobody')
        || coalesce(' and is ' || format_type(has.atttypid, has.atttypmod), ''), '; ')
    into wrong
    from (values
      {%- for column in model.columns.values() %} ('{{ column.name }}', '{{ column.data_type }}'){{ ',' if not loop.last }}{% endfor -%}
    ) as promised (name, type)
    full join (select * from pg_attribute where attrelid = '{{ relation }}'::regclass and attnum > 0) as has
      on has.attname = promised.name
   where has.atttypid is distinct from promised.type::regtype;
  if wrong is not null then
    raise exception 'The contract of {{ model.name }} is not kept: %', wrong;
  end if;
end $kept$;
{%- endif -%}
{%- endmacro %}


{# The constraints of a contract. #}
{% macro constrained(target) -%}
{%- if config.get('contract').enforced -%}
{%- set said = [] -%}
{%- for column in model.columns.values() -%}
  {%- for constraint in column.constraints -%}
    {%- if constraint.type == 'not_null' -%}
      {%- do said.append('alter column ' ~ column.name ~ ' set not null') -%}
    {%- else -%}
      {%- do said.append('add ' ~ constraint.type.replace('_', ' ') ~ ' (' ~ column.name ~ ')') -%}
    {%- endif -%}
  {%- endfor -%}
{%- endfor -%}
{%- for constraint in adapter.render_raw_model_constraints(raw_constraints=model.constraints) -%}
  {%- do said.append('add ' ~ constraint) -%}
{%- endfor -%}
{%- if said -%} alter table {{ target }} {{ said | join(', ') }}; {%- endif -%}
{%- endif -%}
{%- endmacro %}


{# What the project says of a relation and its columns. #}
{% macro commented(target) -%}
{%- if model.description -%}
comment on {{ target.type }} {{ target }} is {{ postgres_escape_comment(model.description) }};
{%- endif -%}
{%- for column in model.columns.values() if column.description %}
comment on column {{ target }}.{{ column.name }} is {{ postgres_escape_comment(column.description) }};
{%- endfor -%}
{%- endmacro %}


{% macro without(held) -%}
{%- if held is not none -%} drop {{ held.type }} if exists {{ held }} cascade; {%- endif -%}
{%- endmacro %}


{# Bind a table to the reader's tenant; a view obeys the policies of what it reads as security_invoker. Relations without a
   tenant (calendar, stage map) are the same for all. Publication gives `published` the same policy. #}
{% macro protect() %}
{%- set condition = "true" if (model.config.meta or {}).get('shared') else "tenant_id = current_setting('app.tenant_id')::uuid" -%}
alter table {{ this }} enable row level security;
drop policy if exists tenant on {{ this }};
create policy tenant on {{ this }} for select to santral_app using ({{ condition }});
{{ readable(this) }}
{% endmacro %}


{# Nobody reads the workshop itself; what is made as of an instant is read as it is. #}
{% macro readable(relation) -%}
{%- if env_var('SANTRAL_DBT_AS_OF', '') -%} grant select on {{ relation }} to santral_app; {%- endif -%}
{%- endmacro %}
