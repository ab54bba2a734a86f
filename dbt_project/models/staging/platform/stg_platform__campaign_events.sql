with source as (

  select * from {{ source('crm', 'event_log') }}
  where aggregate_type = 'dial_campaign'
    and event_type in (
      'dial_campaign.started', 'dial_campaign.paused', 'dial_campaign.draining', 'dial_campaign.stopped'
    )
    and tx_id < (select horizon.tx_id from {{ source('ops', 'horizon') }} as horizon)

),

renamed as (

  select
    -- ids
    tenant_id,
    id as event_id,
    aggregate_id as campaign_id,

    -- strings
    event_type,

    -- timestamps
    occurred_at,
    created_at as recorded_at

  from source

)

select * from renamed
