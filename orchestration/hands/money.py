"""What ads cost, what sales bring and in whose name, in SQL by hand."""

from collections.abc import Mapping

from orchestration.hands.leads import BI_LEAD, DAYS_TO_SALE, LEAD, LEAD_DIMS, NOT_OF_A_TEST, WON
from orchestration.hands.places import Hand, Place, middle, share

SALE = Place(
    "published.fct_sale" + NOT_OF_A_TEST, "booked_on",
    {"agent": "agent_id::text", "team": "team_id::text", "currency": "currency"}, "not is_test",
)  # fmt: skip
SALES_IN_VIEWS = "bi.sale join bi.sale_amount using (tenant_id, sale_entry_key)"
BI_SALE = Place(SALES_IN_VIEWS, "booked_on", SALE.dims)
SOLD = (
    " left join lateral (select sum(s.net_amount) as revenue,"
    " sum(case s.entry when 'sale' then 1 else -1 end) as sales from {sales} s where s.tenant_id = l.tenant_id"
    " and s.lead_id = l.lead_id and s.cycle_no = l.cycle_no and s.is_within_90d) as sold on true"
)
EARNED = (
    Place("published.fct_lead_cycle l" + SOLD.format(sales="published.fct_sale"), LEAD.day, LEAD_DIMS, LEAD.where),
    Place("bi.lead l" + SOLD.format(sales=f"({SALES_IN_VIEWS})"), BI_LEAD.day, LEAD_DIMS),
)
# What was spent, at the rate of its day, beside the leads that came through ads; days in the account's own zone.
ADS = Place(
    """(
    select each.tenant_id, each.day, each.platform, each.account_id, each.campaign_id, each.adset_id, each.ad_id,
           round(sum(each.spend), 6) as spend, sum(each.claimed) as claimed, sum(each.leads) as leads,
           sum(each.uniques) as uniques, sum(each.qualified) as qualified, sum(each.won) as won,
           sum(each.revenue) as revenue, max(each.tx_id) as tx_id
      from (
        select f.tenant_id, f.spend_on as day, f.platform, f.account_id, f.campaign_id, f.adset_id, f.ad_id,
               f.spend * case when f.currency = t.currency then 1 else (
                 select x.rate from published.dim_fx_daily x where x.tenant_id = f.tenant_id
                    and x.currency = f.currency and x.rate_on = f.spend_on) end as spend,
               f.platform_leads as claimed, 0 as leads, 0 as uniques, 0 as qualified, 0 as won, 0 as revenue,
               0 as tx_id
          from published.fct_ad_spend_daily f join crm.tenant t on t.tenant_id = f.tenant_id
        union all
        select l.tenant_id, (l.acquired_at at time zone coalesce(z.zone, t.timezone))::date, l.platform,
               coalesce(z.account_id, ''), l.campaign, coalesce(nullif(l.adset, 'unknown'), ''), l.ad, 0, 0, 1,
               (not l.is_duplicate)::int, (l.qualified_at is not null)::int,
               (l.won_at <= l.received_at + interval '90 days')::int, coalesce(r.revenue, 0), l.source_max_tx_id
          from published.fct_lead_cycle l
          join crm.tenant t on t.tenant_id = l.tenant_id
          left join (
            select f.tenant_id, f.platform, f.campaign_id, max(f.account_zone) as zone,
                   max(f.account_id) as account_id
              from published.fct_ad_spend_daily f group by f.tenant_id, f.platform, f.campaign_id) as z
            on z.tenant_id = l.tenant_id and z.platform = l.platform and z.campaign_id = l.campaign
          left join (
            select s.tenant_id, s.lead_id, s.cycle_no, sum(s.net_amount) as revenue from published.fct_sale s
             where s.is_within_90d group by s.tenant_id, s.lead_id, s.cycle_no) as r
            on r.tenant_id = l.tenant_id and r.lead_id = l.lead_id and r.cycle_no = l.cycle_no
         where l.cycle_no = 1 and not l.is_test and l.ad <> 'unknown' and l.campaign <> 'unknown') as each
     group by each.tenant_id, each.day, each.platform, each.account_id, each.campaign_id, each.adset_id, each.ad_id
    ) as ads""",
    "day", {"platform": "platform", "account": "account_id", "campaign": "campaign_id"}, moved_by="tx_id",
)  # fmt: skip


CANCELLED = Place(
    "published.fct_sale" + NOT_OF_A_TEST + " join (select distinct tenant_id,"
    " coalesce(cancel_reason, 'unspecified') as told_reason from published.fct_sale where entry = 'cancellation')"
    " as reasons using (tenant_id)",
    "booked_on", {"agent": "agent_id::text", "team": "team_id::text", "reason": "told_reason"},
    "not is_test and entry = 'cancellation'",
)  # fmt: skip


def per(part: str, whole: str) -> Hand:
    """Return a metric of what ads cost and brought: a sum by a sum."""
    return of_ads(f"sum({part})::float8 / nullif(sum({whole}), 0)")


def of_ads(value: str) -> Hand:
    """Return a metric of what ads cost and brought."""
    return Hand(value, (ADS,), made_by="sum(leads)")


MONEY: Mapping[str, Hand] = {
    "revenue_per_agent": Hand("sum(net_amount)::float8 / nullif(count(distinct agent_id), 0)", (SALE, BI_SALE)),
    "revenue_per_lead": Hand("coalesce(sum(revenue), 0)::float8 / nullif(count(*), 0)", EARNED),
    "pipeline_velocity": Hand(
        "count(*) filter (where max_rank >= 3 and status not in ('won', 'lost'))"
        f" * ({share(WON)}) * (sum(revenue)::float8 / nullif(sum(sales), 0)) / nullif({middle(DAYS_TO_SALE)}, 0)",
        EARNED,
    ),
    "churn_reason_share": Hand(
        share("coalesce(cancel_reason, 'unspecified') = told_reason"), (CANCELLED,), always=("reason",), is_count=True
    ),
    "cpl": per("spend", "leads"),
    "cpl_unique": per("spend", "uniques"),
    "cpql": per("spend", "qualified"),
    "cpa": per("spend", "won"),
    "roas": per("revenue", "spend"),
    "platform_lead_gap": of_ads(
        "1 - coalesce(sum(leads) filter (where claimed > 0), 0)::float8 / nullif(sum(claimed), 0)"
    ),
}
