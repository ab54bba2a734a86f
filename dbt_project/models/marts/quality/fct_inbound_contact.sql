{{ config(materialized='view') }}

-- One handled inbound call is one contact, whoever it was transferred to. A contact is judged against the next of the
-- same person: of a chain of three within a week each, the first two did not resolve. Our own calls are no repeats.
-- Who writes comes again, too, whatever the channel; nobody says of a message what it is about.

with handled as (

  select
    *,
    coalesce(disposition, 'unspecified') as reason
  from {{ ref('fct_call') }}
  where direction = 'inbound'
    and is_handled
    and not is_test
    and coalesce(disposition_party, 'right') <> 'wrong'

),

contacts as (

  select
    tenant_id,
    call_id,
    contact_id,
    reason,
    agent_id,
    first_queue as queue,
    started_at,
    started_on,
    is_historical,
    source_max_recorded_at,
    source_max_tx_id,
    true as is_call
  from handled
  union all
  select
    tenant_id,
    activity_id as call_id,
    contact_id,
    'unspecified' as reason,
    null as agent_id,
    null as queue,
    occurred_at as started_at,
    null as started_on,
    null as is_historical,
    null as source_max_recorded_at,
    null as source_max_tx_id,
    false as is_call
  from {{ ref('fct_activity') }}
  where kind = 'message' and direction = 'inbound' and contact_id is not null

),

judged as (

  select
    *,
    lead(started_at) over (
      partition by tenant_id, contact_id, reason order by started_at, call_id
    ) as next_same_reason_at,
    lead(started_at) over (
      partition by tenant_id, contact_id order by started_at, call_id
    ) as next_any_reason_at,
    lag(started_at) over (
      partition by tenant_id, contact_id, reason order by started_at, call_id
    ) as previous_same_reason_at
  from contacts

)

select
  tenant_id,
  call_id,
  contact_id,
  contact_id is not null as is_known_person,
  reason,
  agent_id,
  queue,
  started_at,
  started_on,
  case when contact_id is not null then next_same_reason_at end as next_same_reason_at,
  case when contact_id is not null then next_any_reason_at end as next_any_reason_at,
  contact_id is not null
  and coalesce(next_same_reason_at - started_at <= interval '{{ var("fcr_days") }} days', false)
    as is_followed_same_reason,
  contact_id is not null
  and coalesce(next_any_reason_at - started_at <= interval '{{ var("fcr_days") }} days', false)
    as is_followed_any_reason,
  contact_id is not null
  and coalesce(started_at - previous_same_reason_at <= interval '{{ var("fcr_days") }} days', false) as is_repeat,
  is_historical,
  source_max_recorded_at,
  source_max_tx_id
from judged
where is_call
