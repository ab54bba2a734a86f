{# Building firm by firm, when a table could not be built of everybody's rows at once: a value that is no date, a key that
   comes twice. Whoever breaks it keeps the rows it had and is written down in `ops.quarantine`, in the transaction in
   which the others' rows come; so is who waits for a table that could not be built of its rows.

   Each firm's news are those that its own rows do not know yet, so that nothing of whoever fell behind is passed over:
   a domain is built in this way (orchestration/transform.py) for as long as somebody stands written down there. #}
{% macro is_by_firm() %}
{{ return('tenant_id' in model.columns and model.tags[0] in env_var('SANTRAL_DBT_BY_FIRM', '').split()) }}
{% endmacro %}


{# SQL that reads the rows of the firm at hand alone: see views_of_firm. #}
{% macro of_firm(sql) %}
{%- set read = {'sql': sql} -%}
{%- for each in relations_read() -%}
  {%- do read.update({'sql': read.sql | replace(each.name, 'pg_temp.' ~ each.view)}) -%}
{%- endfor -%}
{{ return(read.sql) }}
{% endmacro %}


{# The relations that a model reads, itself among them where it follows, each with the view of a firm's rows of it. #}
{% macro relations_read() %}
{%- set read = [{'name': this | string, 'view': 'firm_' ~ model.name}] if is_incremental() else [] -%}
{%- for id in model.depends_on.nodes -%}
  {%- set node = graph.nodes.get(id) or graph.sources.get(id) -%}
  {%- do read.append({'name': node.relation_name, 'view': 'firm_' ~ id | replace('.', '_')}) -%}
{%- endfor -%}
{{ return(read) }}
{% endmacro %}


{# Views of what a model reads: of the rows of the firm that `santral.firm` names, and of what is the same for all. #}
{% macro views_of_firm() %}
do $views$
declare
  read record;
begin
  for read in
    select relation.name, relation.view, case when a.attname is not null
             then ' where tenant_id = current_setting(''santral.firm'')::uuid' else '' end as condition
      from (values
        {%- for each in relations_read() %} ('{{ each.name }}', '{{ each.view }}'){{ ',' if not loop.last }}{% endfor -%}
      ) as relation (name, view)
      left join pg_attribute as a on a.attrelid = relation.name::regclass and a.attname = 'tenant_id'
  loop
    execute format('create temporary view %I as select * from %s%s', read.view, read.name, read.condition);
  end loop;
end $views$;
{% endmacro %}


{# Take steps, which read `of_firm`, once for each firm; whose rows break them, and who waits, is as before. #}
{% macro by_firm(steps) %}
{%- set table, above = model.schema ~ '/' ~ model.name, [''] -%}
{%- do tables_above(model.depends_on.nodes, above) -%}
do $by_firm$
declare
  each_firm record;
  broken text;
begin
  for each_firm in
    select tenant.tenant_id, tenant.slug, exists (
             select from ops.quarantine as hold where hold.tenant_id = tenant.tenant_id and hold.status = 'held'
                and hold.set_key = 'is_built' and hold.feed in ({{ quoted(above) }})) as waits
      from crm.tenant as tenant order by tenant.slug
  loop
    perform set_config('santral.firm', each_firm.tenant_id::text, true);
    broken := case when each_firm.waits then 'waits' end;
    if broken is null then
      begin
        {{ steps }}
      exception when data_exception or integrity_constraint_violation or cardinality_violation then
        broken := sqlstate;
      end;
    end if;
    insert into ops.quarantine as hold (tenant_id, feed, set_key, label, rules, reasons, reasons_tr, weight, status,
                                        since, judged_at)
    select each_firm.tenant_id, '{{ table }}', 'is_built', each_firm.slug || ', {{ model.name }}', array[broken], '{}',
           '{}', 1, 'held', clock_timestamp(), clock_timestamp()
     where broken is not null
    on conflict (tenant_id, feed, set_key) do update
       set rules = excluded.rules, status = excluded.status, judged_at = excluded.judged_at,
           since = case when hold.status = 'held' then hold.since else excluded.since end;
    update ops.quarantine as hold set status = 'cleared', judged_at = clock_timestamp()
     where broken is null and hold.tenant_id = each_firm.tenant_id and hold.status = 'held'
       and hold.set_key = 'is_built' and hold.feed = '{{ table }}';
  end loop;
end $by_firm$;
{%- for each in relations_read() %}
drop view pg_temp.{{ each.view }};
{%- endfor %}
{% endmacro %}


{# The tables of its domain that a model is made of, as `ops.quarantine` names them. #}
{% macro tables_above(ids, found) %}
{%- for id in ids if id in graph.nodes and graph.nodes[id].tags[0] == model.tags[0] -%}
  {%- set name = graph.nodes[id].schema ~ '/' ~ graph.nodes[id].name -%}
  {%- if name not in found -%}
    {%- do found.append(name) -%}
    {%- do tables_above(graph.nodes[id].depends_on.nodes, found) -%}
  {%- endif -%}
{%- endfor -%}
{% endmacro %}
