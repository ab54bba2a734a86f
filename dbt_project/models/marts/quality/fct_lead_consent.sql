-- Whether a lead may be offered things by each channel: the latest that the person said of it, when that was yes and
-- has not run out by the instant the marts are as of.

with said as (

  select distinct on (consents.tenant_id, consents.contact_id, consents.channel)
    consents.tenant_id,
    consents.contact_id,
    consents.channel,
    consents.status = 'granted' and coalesce(consents.valid_until > horizon.pinned_at, true) as is_granted,
    consents.recorded_at
  from {{ ref('stg_quality__consents') }} as consents
  cross join {{ source('ops', 'horizon') }} as horizon
  where consents.purpose = 'marketing' and consents.recorded_at <= horizon.pinned_at
  order by
    consents.tenant_id, consents.contact_id, consents.channel, consents.recorded_at desc, consents.consent_id desc

)

select
  leads.tenant_id,
  leads.lead_id,
  channels.channel,
  leads.lead_id || ':' || channels.channel as lead_channel_key,
  leads.received_on,
  leads.platform,
  leads.source,
  coalesce(said.is_granted, false) as has_consent,
  leads.is_test,
  greatest(leads.source_max_recorded_at, said.recorded_at) as source_max_recorded_at
from {{ ref('fct_lead_cycle') }} as leads
join {{ ref('stg_crm__leads') }} as people using (tenant_id, lead_id)
cross join unnest(array['call', 'email', 'sms', 'whatsapp']) as channels (channel)
left join said
  on said.tenant_id = leads.tenant_id and said.contact_id = people.contact_id and said.channel = channels.channel
where leads.cycle_no = 1
