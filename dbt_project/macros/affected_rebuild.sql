{# What a fact has not read yet: a relation of events (or of what is made of them) that carries `tx_id`. What a table has
   read is what it holds, so nothing can disagree with it: see lead_events_in_cycles. #}
{% macro is_news(events, held) %}
{{ events }}.tx_id > (select coalesce(max(held.source_max_tx_id), 0)::text::xid8 from {{ held }} as held)
{% endmacro %}


{# The keys of the entities that have news: `meta.affected_by` names the models that carry their events, each with the
   columns of `key` and `tx_id`. #}
{% macro affected_keys(held, key) %}
{%- for name in config.get('meta')['affected_by'] %}
select news.{{ key | join(', news.') }} from {{ ref(name) }} as news where {{ is_news('news', held) }}
{%- if not loop.last %} union {% endif %}
{%- endfor %}
{% endmacro %}


{# The condition that rows are of an entity that has news; on the first run all are. `key` is the model's own, unless
   more columns help to find the rows. #}
{% macro is_affected(rows, key=none) %}
{%- if is_incremental() -%}
{%- set key = key or config.get('unique_key') -%}
({{ rows }}.{{ key | join(', ' ~ rows ~ '.') }}) in ({{ affected_keys(this, key) }})
{%- else -%}
true
{%- endif -%}
{% endmacro %}
