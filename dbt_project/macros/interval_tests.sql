{# The intervals of an entity follow one another without gap or overlap; only the last one may be open. #}
{% test tiles(model, entity) %}
select * from (
  select
    *,
    lead(started_at) over (partition by tenant_id, {{ entity }} order by started_at) as next_at
  from {{ model }}
) as intervals
where next_at is not null and ended_at is distinct from next_at
{% endtest %}


{# Intervals of one entity never overlap; there may be gaps between them. #}
{% test never_overlaps(model, entity) %}
select * from (
  select
    *,
    lead(started_at) over (partition by tenant_id, {{ entity }} order by started_at, ended_at) as next_at
  from {{ model }}
) as intervals
where next_at is not null and (ended_at is null or ended_at > next_at)
{% endtest %}


{# Every pause has a reason of the catalogue, so that it falls into a class. #}
{% test pauses_have_a_class(model, reasons) %}
select intervals.*
from {{ model }} as intervals
where intervals.state = 'paused' and not exists (
  select from {{ reasons }} as reasons
  where reasons.tenant_id = intervals.tenant_id
    and reasons.code = intervals.reason
    and intervals.started_at >= reasons.valid_from
    and intervals.started_at < coalesce(reasons.valid_to, 'infinity'::timestamptz)
)
{% endtest %}


{# The seconds of a session are the same whether its closed intervals or the quarters of an hour are added up. #}
{% test seconds_are_conserved(model, intervals, columns) %}
with whole as (

  select tenant_id, session_id, sum(seconds) as seconds
  from {{ intervals }}
  group by tenant_id, session_id
  having bool_and(ended_at is not null)

),

sliced as (

  select tenant_id, session_id, sum({{ columns | join(' + ') }}) as seconds
  from {{ model }}
  group by tenant_id, session_id

)

select *
from whole
left join sliced using (tenant_id, session_id)
where whole.seconds is distinct from sliced.seconds
{% endtest %}
