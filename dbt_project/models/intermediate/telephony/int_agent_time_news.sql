{{ config(materialized='view', schema='int', tags=['telephony']) }}

-- Which sessions' seconds are to be counted again: those something was told of, and those that go on.

select tenant_id, session_id, tx_id from {{ ref('stg_telephony__agent_events') }}
union all
select tenant_id, session_id, tx_id from {{ ref('int_agent_session_moves') }}
union all
select tenant_id, session_id, '9223372036854775807'::xid8 as tx_id
from {{ ref('fct_agent_state_interval') }}
where ended_at is null
