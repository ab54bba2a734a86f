{# What a fact has not read yet: a relation of events (or of what is made of them) that carries `tx_id`. What a table has
   read is what it holds: every event of an entity ends up in the entity's source_max_tx_id, and all transactions below
   the horizon have ended, so nothing is missed, and no separate watermark can disagree with the table. #}
{% macro is_news(events, held) %}
{{ events }}.tx_id > (select coalesce(max(held.source_max_tx_id), 0)::text::xid8 from {{ held }} as held)
{% endmacro %}


{# By which columns the entities that have news are found: those of the model's key, unless `meta.found_by` names more
   that help. #}
{% macro found_by() %}
{{ return(config.get('meta').get('found_by') or config.get('unique_key')) }}
{% endmacro %}


{# The entities that have news: `meta.affected_by` names the models that carry their events, with `tx_id`;
   `meta.event_types` says which of them a model reads, where it does not read all. They are looked up once, before a
   model follows: its plan is then made for as many as there are (see `follow`). #}
{% macro affected_keys(held) %}
{%- set types = config.get('meta').get('event_types') -%}
{%- for name in config.get('meta')['affected_by'] %}
select distinct news.{{ found_by() | join(', news.') }} from {{ ref(name) }} as news where {{ is_news('news', held) }}
{%- if types %} and news.event_type in ({{ quoted(types) }}) {%- endif %}
{%- if not loop.last %} union {% endif %}
{%- endfor %}
{% endmacro %}


{# The condition that rows are of an entity that has news; on the first run all are. #}
{% macro is_affected(rows) %}
{%- if is_incremental() -%}
({{ rows }}.{{ found_by() | join(', ' ~ rows ~ '.') }}) in (
  select affected.{{ found_by() | join(', affected.') }} from pg_temp.affected
)
{%- else -%}
true
{%- endif -%}
{% endmacro %}


{# A view of events as a model reads it. The first run reads all: each event is unpacked once, before rows are sorted, which
   the `with` sees to: PostgreSQL does not look through it. A run that follows looks entities up, and has to. #}
{% macro unpacked(name) %}
{%- if is_incremental() -%}
{{ ref(name) }}
{%- else -%}
(with each as (select * from {{ ref(name) }}) select * from each)
{%- endif -%}
{% endmacro %}
