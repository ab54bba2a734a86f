with numbered as (

  select
    *,
    row_number() over (partition by tenant_id, campaign_id order by dbt_valid_from) as version_no
  from {{ ref('snap_campaign') }}

)

select
  tenant_id,
  campaign_id,
  version_no::int as version_no,
  name,
  status,
  case when version_no = 1 then '-infinity' else dbt_valid_from end as valid_from,
  dbt_valid_to as valid_to
from numbered
