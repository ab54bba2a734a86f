"""What outside systems sent about advertising, as it came: whole reports, every version, and the verdict on each.

Revision ID: 0003
"""

from alembic import op

from crm.migrations.tables import run_script, tenant_table
from crm.settings import APP_ROLE, PIPELINE_ROLE

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

API_PAYLOAD = """
    tenant_id uuid not null,
    id uuid not null,
    source text not null,
    endpoint text not null,
    natural_key text not null,
    window_start date,
    window_end date,
    payload_sha256 bytea not null,
    payload jsonb not null,
    fetched_at timestamptz not null,
    api_version text,
    run_id text,
    primary key (tenant_id, id),
    unique (tenant_id, source, endpoint, natural_key, payload_sha256)
"""

PAYLOAD_VERDICT = """
    tenant_id uuid not null,
    payload_id uuid not null,
    passed boolean not null,
    reasons text[] not null default '{}',
    suite text not null,
    checked_at timestamptz not null,
    primary key (tenant_id, payload_id),
    foreign key (tenant_id, payload_id) references raw.api_payload on delete cascade
"""

PIPELINE = f"""
create policy pipeline_judges on raw.payload_verdict for insert to {PIPELINE_ROLE} with check (true);
create policy pipeline_judges_again on raw.payload_verdict for update to {PIPELINE_ROLE} using (true) with check (true);
grant insert, update on raw.payload_verdict to {PIPELINE_ROLE};
create index api_payload_latest on raw.api_payload (tenant_id, source, endpoint, natural_key, fetched_at desc, id desc);
create table ops.horizon (
  only_one boolean primary key default true check (only_one),
  tx_id xid8 not null,
  pinned_at timestamptz not null
);
comment on table ops.horizon is 'Up to which transaction the current pipeline run reads events: of no tenant.';
alter table ops.horizon enable row level security;
create policy pipeline on ops.horizon to {PIPELINE_ROLE} using (true) with check (true);
grant select, insert, update on ops.horizon to {PIPELINE_ROLE};
"""


# Rows of advertising reports in one shape, whatever the platform; a figure that cannot be read is null (spend) or -1
# (counts), so that the gate can say so instead of a cast failing. The latest version of each report is marked.
AD_REPORTS = """
create view raw.ad_report with (security_invoker = true) as
  select tenant_id, id as payload_id, source, endpoint, natural_key, split_part(natural_key, ':', 1) as account_id,
         coalesce(window_start::text, split_part(natural_key, ':', 2)) as day, fetched_at,
         coalesce(payload #>> '{paging,next}', payload ->> 'nextPageToken', payload ->> 'next_page_token') is null
           and jsonb_typeof(coalesce(payload -> 'data', payload -> 'results')) = 'array' as is_complete,
         case when jsonb_typeof(coalesce(payload -> 'data', payload -> 'results')) = 'array'
              then coalesce(payload -> 'data', payload -> 'results') else '[]' end as rows
    from raw.api_payload
   where (source, endpoint) in (('meta', 'insights'), ('google', 'performance'));

create view raw.ad_report_row with (security_invoker = true) as
  with texts as (
    select r.tenant_id, r.payload_id, r.source, r.natural_key, r.account_id, r.day, r.fetched_at, x.row_no,
           m.*
      from raw.ad_report r
     cross join lateral jsonb_array_elements(r.rows) with ordinality as x(row, row_no)
     cross join lateral (
       select x.row ->> 'account_currency' as currency, x.row ->> 'campaign_id' as campaign_id,
              x.row ->> 'adset_id' as adset_id, x.row ->> 'ad_id' as ad_id, x.row ->> 'date_start' as row_day,
              x.row ->> 'account_timezone' as account_zone, x.row ->> 'spend' as spend_text, 1 as spend_divisor,
              x.row ->> 'impressions' as impressions_text,
              x.row ->> 'clicks' as clicks_text,
              (select sum(nullif(a ->> 'value', '')::numeric)::text
                 from jsonb_array_elements(case when jsonb_typeof(x.row -> 'actions') = 'array'
                                                then x.row -> 'actions' else '[]' end) as a
                where a ->> 'action_type' = 'lead' and a ->> 'value' ~ '^[0-9]+$') as leads_text
        where r.source = 'meta'
       union all
       select x.row #>> '{customer,currencyCode}', x.row #>> '{campaign,id}', x.row #>> '{adGroup,id}',
              x.row #>> '{adGroupAd,ad,id}', x.row #>> '{segments,date}',
              x.row #>> '{customer,timeZone}', x.row #>> '{metrics,costMicros}', 1000000,
              x.row #>> '{metrics,impressions}', x.row #>> '{metrics,clicks}', x.row #>> '{metrics,conversions}'
        where r.source = 'google') as m
  )
  select tenant_id, payload_id, row_no, source, natural_key, account_id, day, row_day, fetched_at, currency,
         campaign_id, adset_id, ad_id,
         case when spend_text ~ '^-?[0-9]{1,18}([.][0-9]{1,18})?$'
              then spend_text::numeric / spend_divisor end as spend,
         case when coalesce(impressions_text, '0') ~ '^-?[0-9]{1,18}$'
              then coalesce(impressions_text, '0')::bigint else -1 end as impressions,
         case when coalesce(clicks_text, '0') ~ '^-?[0-9]{1,18}$'
              then coalesce(clicks_text, '0')::bigint else -1 end as clicks,
         case when coalesce(leads_text, '0') ~ '^-?[0-9]{1,12}([.][0-9]{1,12})?$'
              then coalesce(leads_text, '0')::numeric else -1 end as platform_leads, account_zone
    from texts;
"""

# Rates of exchange of a day: how much of the base one unit of each currency is worth.
FX_RATES = """
create view raw.fx_rate with (security_invoker = true) as
  select p.tenant_id, p.id as payload_id, p.payload ->> 'base' as base, p.window_start as day, r.key as currency,
         case when r.value ~ '^[0-9]+([.][0-9]+)?$' then nullif(r.value::numeric, 0) end as rate, p.fetched_at
    from raw.api_payload p
   cross join lateral jsonb_each_text(
     case when jsonb_typeof(p.payload -> 'rates') = 'object' then p.payload -> 'rates' end) as r
   where p.source = 'fx' and p.endpoint = 'daily_rates';
"""


def upgrade() -> None:
    tenant_table("api_payload", API_PAYLOAD, schema="raw", append_only=True)
    op.execute(f"grant update (fetched_at) on raw.api_payload to {APP_ROLE}")
    tenant_table("payload_verdict", PAYLOAD_VERDICT, schema="raw")
    op.execute(f"revoke insert, update, delete on raw.payload_verdict from {APP_ROLE}")
    run_script(PIPELINE)
    run_script(AD_REPORTS)
    run_script(FX_RATES)
    op.execute(f"grant select on raw.ad_report, raw.ad_report_row, raw.fx_rate to {PIPELINE_ROLE}")


def downgrade() -> None:
    # What the pipeline built on these is rebuilt by its next run.
    for table in ("ops.horizon", "raw.payload_verdict", "raw.api_payload"):
        op.execute(f"drop table {table} cascade")
