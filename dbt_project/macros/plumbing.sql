{# A model's schema is exactly what its folder says: stg, int, marts, ops. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name if custom_schema_name else target.schema }}
{%- endmacro %}


{# Fix up to which transaction this run reads events. Everything below it has ended, so every model of the run sees the
   same set, however long the run takes and whatever commits meanwhile. What has been recorded beyond the horizon (a long
   transaction holds it back) is not in the marts, so they are as of its first event at the latest. #}
{% macro pin_horizon() %}
insert into ops.horizon (tx_id, pinned_at)
select horizon, least(clock_timestamp(), (select min(created_at) from crm.event_log where tx_id >= horizon))
from crm.event_horizon() as horizon
on conflict (only_one) do update set tx_id = excluded.tx_id, pinned_at = excluded.pinned_at
{% endmacro %}


{# Bind a finished relation to the reader's tenant. Tables get row-level security; a view obeys the policies of what it
   reads only as security_invoker. Relations without a tenant (calendar, stage map) are the same for all. #}
{% macro protect() %}
{%- if model.config.materialized == 'view' -%}
  alter view {{ this }} set (security_invoker = true);
  {%- if model.config.schema == 'marts' %} grant select on {{ this }} to santral_app;{% endif %}
{%- elif model.config.materialized not in ('ephemeral', 'test') -%}
  {%- set condition = "true" if (model.config.meta or {}).get('shared') else "tenant_id = current_setting('app.tenant_id')::uuid" -%}
  alter table {{ this }} enable row level security;
  drop policy if exists tenant on {{ this }};
  create policy tenant on {{ this }} for select to santral_app using ({{ condition }});
  grant select on {{ this }} to santral_app;
{%- endif -%}
{% endmacro %}
