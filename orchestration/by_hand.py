"""Metrics in SQL by hand: written by people from the formulas of the catalogue, knowing nothing of the semantic layer.

Where a table keeps the instants, thresholds and seconds that a figure follows from, the figure is worked out from them
anew, and days from instants and zones; a column that says it already (`in_sl`, `enqueued_on`) is trusted nowhere but in
the views of BI tools, which show no more.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RELATION = re.compile(r"\b(?:published|bi)\.\w+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows stand, by which business day they count, which of them count, and what they can be cut by."""

    relation: str
    day: str
    dims: Mapping[str, str] = field(default_factory=dict)
    where: str = "true"

    @property
    def name(self) -> str:
        """What the place is called: its first relation."""
        return next(iter(self.reads), self.relation)

    @property
    def reads(self) -> list[str]:
        """The relations that it reads, with their schemas."""
        return RELATION.findall(self.relation)


@dataclass(frozen=True, slots=True)
class Hand:
    """A metric by hand: its value, and the places that hold what it takes. The first place is of `published`."""

    value: str
    places: Sequence[Place]
    others: Mapping[str, str] = field(default_factory=dict)
    """The value in places that keep it in other columns, by their names."""
    always: tuple[str, ...] = ()
    """Dimensions without which it is never told."""
    is_count: bool = False
    """Nothing counted is the same as none; of shares and means nothing is known where there is nothing to divide by."""
    counts_rows: bool = True
    """Whether the rows of its place are those that the metric counts, so that one can see how few made it."""

    def in_place(self, place: Place) -> str:
        """Return its value in one of its places."""
        return self.others.get(place.name, self.value)


def share(part: str, whole: str = "true") -> str:
    """Return the share of rows; null where there are none."""
    return f"count(*) filter (where {part})::float8 / nullif(count(*) filter (where {whole}), 0)"


def middle(value: str, where: str = "true", at: float = 0.5) -> str:
    """Return a percentile, the median at 0.5."""
    return f"percentile_cont({at}) within group (order by ({value})::float8) filter (where {where})"


def mean(value: str, where: str = "true") -> str:
    """Return the mean of the rows that a condition leaves; null where there are none."""
    return f"(sum({value}) filter (where {where}))::float8 / nullif(count(*) filter (where {where}), 0)"


def seconds(since: str, until: str) -> str:
    """Return the seconds between two instants."""
    return f"extract(epoch from {until} - {since})"


VISIT = Place(
    "published.fct_queue_visit", "(enqueued_at at time zone timezone)::date",
    {"queue": "queue", "agent": "agent_id::text"}, "in_hours and outcome <> 'system' and not is_test",
)  # fmt: skip
VISITS = (VISIT, Place("bi.queue_visit", "enqueued_on", VISIT.dims, "in_hours and outcome <> 'system'"))
OUT_OF_HOURS = tuple(
    Place(each.relation, each.day, each.dims, each.where.replace("in_hours", "not in_hours")) for each in VISITS
)
SHORT = "outcome = 'abandoned' and short_s > 0 and wait_s <= short_s"
IN_SL = "outcome = 'answered' and wait_s <= sl_s"
TO_ANSWER = "outcome in ('answered', 'abandoned', 'overflow', 'timeout')"
GAVE_UP = f"outcome = 'abandoned' and not ({SHORT})"


def visits(where: str) -> Hand:
    """Return a metric that counts stays in queues."""
    return Hand(f"count(*) filter (where {where})::float8", VISITS, is_count=True)


INBOUND = {
    "offered": visits("true"),
    "offered_ooh": Hand("count(*)::float8", OUT_OF_HOURS, is_count=True),
    "answered": visits("outcome = 'answered'"),
    "abandoned": visits("outcome = 'abandoned'"),
    "short_abandons": visits(SHORT),
    "service_level": Hand(share(IN_SL, f"{TO_ANSWER} and not ({SHORT})"), VISITS),
    "service_level_strict": Hand(share(IN_SL, TO_ANSWER), VISITS),
    "service_level_credit": Hand(
        share(f"({IN_SL}) or (outcome = 'abandoned' and wait_s <= sl_s)", "outcome in ('answered', 'abandoned')"),
        VISITS,
    ),
    "asa_s": Hand(mean("wait_s", "outcome = 'answered'"), VISITS),
    "wait_p90": Hand(middle("wait_s", "outcome = 'answered'", 0.9), VISITS),
    "abandonment_rate": Hand(share(GAVE_UP, f"not ({SHORT})"), VISITS),
    "avg_abandon_wait_s": Hand(mean("wait_s", GAVE_UP), VISITS),
    "callback_share": Hand(share("outcome = 'callback'"), VISITS),
}

PROMISE = Place(
    "published.fct_callback_request", "requested_on", {"queue": "queue", "kind": "kind"},
    "(status <> 'cancelled' or reason is distinct from 'customer')",
)  # fmt: skip
CALLBACKS = {
    "callback_kept_rate": Hand(share("reached_at <= promised_until"), (PROMISE,)),
    "callback_wait_s": Hand(
        mean(seconds("requested_at", "first_attempt_at"), "first_attempt_at is not null"), (PROMISE,)
    ),
}

LEG = Place(
    "published.fct_call_leg", "(answered_at at time zone timezone)::date",
    {"queue": "queue", "team": "team_id::text", "agent": "coalesce(agent_id, outside_agent_id)::text",
     "direction": "direction"},
    "party = 'agent' and (is_historical or talk_s >= 1) and not is_test",
)  # fmt: skip
BI_LEG = Place(
    "bi.call_leg", "answered_on", {"queue": "queue", "team": "team_id::text", "direction": "direction"}, "is_handled"
)
LEGS = (LEG, BI_LEG)
CALL = Place(
    "published.fct_call c cross join lateral ("
    " select sum(l.talk_s + l.hold_s + l.wrap_s) as handling_s, bool_or(l.transfer_kind is not null) as was_given_away"
    " from published.fct_call_leg l"
    " where l.tenant_id = c.tenant_id and l.call_id = c.call_id and l.party = 'agent') as legs",
    "(started_at at time zone timezone)::date", {"queue": "first_queue", "direction": "direction"},
    "not is_test and is_handled",
)  # fmt: skip
GIVEN_AWAY = Place(CALL.relation, CALL.day, {"queue": "first_queue"}, f"{CALL.where} and direction = 'inbound'")
BI_GIVEN_AWAY = Place("bi.call", "started_on", GIVEN_AWAY.dims, "is_handled and direction = 'inbound'")
BY_DIRECTION = ("direction",)
HANDLING = {
    "handled": Hand("count(distinct call_id)::float8", LEGS, is_count=True),
    "aht_s": Hand(mean("talk_s + hold_s + wrap_s"), LEGS, always=BY_DIRECTION),
    "acw_s": Hand(mean("wrap_s"), LEGS, always=BY_DIRECTION),
    "hold_s": Hand(mean("hold_s"), LEGS, always=BY_DIRECTION),
    "talk_s": Hand(mean("talk_s"), LEGS, always=BY_DIRECTION),
    "aht_s_call": Hand(mean("handling_s"), (CALL,), always=BY_DIRECTION),
    "transfer_rate": Hand(
        share("was_given_away"), (GIVEN_AWAY, BI_GIVEN_AWAY),
        {"bi.call": share("is_transferred_warm or is_transferred_blind")},
    ),
}  # fmt: skip

TIME = Place(
    "published.fct_agent_time_15m", "(slot_at at time zone timezone)::date",
    {"agent": "agent_id::text", "team": "team_id::text"},
)  # fmt: skip
BI_TIME = Place("bi.agent_time", "slot_on", TIME.dims)
STATES = " cross join lateral (values {}) as told (state, seconds)".format(
    ", ".join(
        f"('{state}', {state}_s)"
        for state in (
            "available", "reserved", "ringing", "on_call", "wrap_up", "paused", "not_responding", "unknown",
        )
    )
)  # fmt: skip
IN_STATE = tuple(
    Place(each.relation + STATES, each.day, {**each.dims, "state": "state"}, "seconds > 0") for each in (TIME, BI_TIME)
)
AGENTS = {
    "occupancy": Hand("sum(busy_s)::float8 / nullif(sum(busy_s + available_s), 0)", (TIME, BI_TIME)),
    "contacts_per_hour": Hand("sum(handled)::float8 / nullif(sum(busy_s + available_s) / 3600.0, 0)", (TIME,)),
    "agent_state_s": Hand("sum(seconds)::float8", IN_STATE, always=("state",), is_count=True),
}

DIAL = Place(
    "published.fct_dial_attempt", "(dialed_at at time zone timezone)::date",
    {"campaign": "campaign_id::text", "mode": "mode"},
)  # fmt: skip
BI_DIAL = Place("bi.dial_attempt", "dialed_on", DIAL.dims)
DIALS = (DIAL, BI_DIAL)
LIVE = "starts_with(result, 'live_')"
WAITED = f"{LIVE} and not is_agent_first"
DIALLED = Place("published.fct_dial_lead", "first_dialed_on", {"campaign": "campaign_id::text"})
LIST = Place("published.fct_dial_list", "loaded_on", {"campaign": "campaign_id::text"})
BLOCKS = Place(
    "published.fct_dial_attempt d join (select distinct b.tenant_id, b.block_reason as told_reason"
    " from published.fct_dial_attempt b where b.result = 'blocked_by_policy') reasons using (tenant_id)",
    DIAL.day, {"campaign": "campaign_id::text", "reason": "told_reason"},
)  # fmt: skip
BY_CAMPAIGN = ("campaign",)
DIALLING = {
    "connect_rate": Hand(share(f"{LIVE} or result = 'voicemail'", "is_attempt"), DIALS),
    "contact_rate_attempt": Hand(share(LIVE, "is_attempt"), DIALS),
    "rpc_rate": Hand(share("result = 'live_right_party'", "is_attempt"), DIALS),
    "rpc_of_contacts": Hand(share("result = 'live_right_party'", LIVE), DIALS),
    "dial_fail_rate": Hand(share("result = 'failed'", "is_attempt"), DIALS),
    "attempts_per_contact": Hand(
        f"count(*) filter (where is_attempt)::float8 / nullif(count(distinct lead_id) filter (where {LIVE}), 0)", DIALS
    ),
    "drop_rate_us": Hand(
        share(f"{WAITED} and coalesce(answer_to_agent_ms > 2000, true)", WAITED), DIALS,
        {"bi.dial_attempt": share("is_abandoned", "is_answered_live")}, always=BY_CAMPAIGN,
    ),
    "contact_rate_lead": Hand(share("first_contact_at <= first_dialed_at + interval '14 days'"), (DIALLED,)),
    "wrong_number_rate": Hand(share("is_wrong_number"), (DIALLED,)),
    "list_penetration": Hand("sum(leads_attempted)::float8 / nullif(sum(leads_dialable), 0)", (LIST,)),
    "dial_block_rate": Hand(
        share("block_reason = told_reason", "is_attempt or result = 'blocked_by_policy'"), (BLOCKS,),
        always=("reason",), counts_rows=False,
    ),
}  # fmt: skip

LEAD_DIMS = {"platform": "platform", "source": "source", "campaign": "campaign", "form": "form"}
LEAD = Place(
    "published.fct_lead_cycle", "received_on", {**LEAD_DIMS, "team": "first_team_id::text"}, "not is_test"
)  # fmt: skip
BI_LEAD = Place("bi.lead", "received_on", {**LEAD_DIMS, "team": "team_id::text"})
LEADS = (LEAD, BI_LEAD)
TIMED = "acquired_at_known and first_attempt_at >= acquired_at"
SPEED = seconds("acquired_at", "first_attempt_at")
REASSIGNED = (
    "exists (select from published.fct_lead_assignment_interval a where a.tenant_id = l.tenant_id"
    " and a.lead_id = l.lead_id and a.cycle_no = l.cycle_no and a.is_reassignment)"
)
NOT_OF_A_TEST = (
    " join (select tenant_id, lead_id, cycle_no, is_test from published.fct_lead_cycle) as cycles"
    " using (tenant_id, lead_id, cycle_no)"
)
GIVEN = Place(
    "published.fct_lead_assignment_interval" + NOT_OF_A_TEST, "started_on",
    {"agent": "user_id::text", "team": "team_id::text"}, "not is_test",
)  # fmt: skip
CLOCK = Place(
    "published.fct_sla_timer" + NOT_OF_A_TEST, "started_on", {"promise": "kind", "rule": "rule_code"}, "not is_test"
)
RESPONSE = {
    "ingestion_lag_s": Hand(
        middle(seconds("acquired_at", "received_at"), "acquired_at_known and received_at >= acquired_at"), (LEAD,)
    ),
    "speed_to_lead_s": Hand(
        middle(SPEED, TIMED), LEADS, {"bi.lead": middle("speed_to_lead_s")}
    ),
    "speed_to_lead_s_p90": Hand(middle(SPEED, TIMED, 0.9), LEADS, {"bi.lead": middle("speed_to_lead_s", at=0.9)}),
    "speed_to_lead_s_share_5m": Hand(
        share(f"{TIMED} and {SPEED} <= 300", f"acquired_at_known and (first_attempt_at is null or {TIMED})"), (LEAD,)
    ),
    "first_response_s": Hand(
        middle(seconds("received_at", "first_attempt_at"), "first_attempt_at >= received_at"), LEADS
    ),
    "time_to_contact_s": Hand(
        middle(seconds("acquired_at", "first_contact_at"), "acquired_at_known and first_contact_at >= acquired_at"),
        (LEAD,),
    ),
    "agent_response_s": Hand(middle(seconds("started_at", "first_attempt_at")), (GIVEN,)),
    "response_sla_compliance": Hand(
        share("kind = 'first_response' and state = 'met'",
              "kind = 'first_response' and (state in ('met', 'breached') or end_reason = 'closed_unanswered')"),
        (CLOCK,),
    ),
    "overdue_followups": Hand(
        "count(*) filter (where state = 'breached' and ended_at is null)::float8", (CLOCK,), is_count=True
    ),
    "reassignment_rate": Hand(
        share(REASSIGNED, "assigned_at is not null"),
        (Place("published.fct_lead_cycle l", LEAD.day, LEAD.dims, LEAD.where),),
    ),
    "duplicate_rate": Hand(share("is_duplicate", "cycle_no = 1"), LEADS),
}  # fmt: skip

STAGES = (
    " cross join (values ('lead', 1), ('contacted', 2), ('qualified', 3), ('proposal', 4), ('sale', 5))"
    " as stages (stage, place)"
)
STAGED = tuple(Place(each.relation + STAGES, each.day, {**each.dims, "stage": "stage"}, each.where) for each in LEADS)
BI_FUNNEL = Place("bi.funnel", "received_on", {**BI_LEAD.dims, "stage": "stage"})
LOSSES = Place(
    "(select tenant_id, lost_on, coalesce(loss_reason, 'unspecified') as lost_for from published.fct_lead_cycle"
    " where status = 'lost' and not is_test) as losses"
    " join (select distinct tenant_id, coalesce(loss_reason, 'unspecified') as reason from published.fct_lead_cycle"
    " where status = 'lost') as reasons using (tenant_id)",
    "lost_on", {"reason": "reason"},
)  # fmt: skip
WON = "won_at <= received_at + interval '90 days'"
FUNNEL = {
    "funnel_reached": Hand(
        "count(*) filter (where max_rank >= place)::float8", (*STAGED, BI_FUNNEL),
        {"bi.funnel": "count(*) filter (where is_reached)::float8"}, always=("stage",), is_count=True,
    ),
    "stage_conversion": Hand(
        share("max_rank > place", "max_rank >= place and place < 5"), STAGED, always=("stage",)
    ),
    "conversion_rate": Hand(share(WON), LEADS),
    "conversion_velocity_days": Hand(middle(f"round({seconds('received_at', 'won_at')} / 86400, 6)"), LEADS),
    "loss_reason_share": Hand(share("lost_for = reason"), (LOSSES,), always=("reason",), is_count=True),
}  # fmt: skip

SALE = Place(
    "published.fct_sale" + NOT_OF_A_TEST, "booked_on",
    {"agent": "agent_id::text", "team": "team_id::text", "currency": "currency"}, "not is_test",
)  # fmt: skip
BI_SALE = Place("bi.sale_amount", "booked_on", SALE.dims)
REVENUE = (
    " left join lateral (select sum(s.net_amount) as revenue from {sales} s where s.tenant_id = l.tenant_id"
    " and s.lead_id = l.lead_id and s.cycle_no = l.cycle_no and s.is_within_90d) as sold on true"
)
EARNED = (
    Place("published.fct_lead_cycle l" + REVENUE.format(sales="published.fct_sale"), LEAD.day, LEAD_DIMS, LEAD.where),
    Place("bi.lead l" + REVENUE.format(sales="bi.sale_amount"), BI_LEAD.day, LEAD_DIMS),
)
# What was spent, at the rate of its day, beside the leads that came through ads; days in the account's own zone.
ADS = Place(
    """(
    select f.tenant_id, f.spend_on as day, f.platform, f.account_id, f.campaign_id,
           round(f.spend * case when f.currency = t.currency then 1 else (
             select x.rate from published.dim_fx_daily x
              where x.tenant_id = f.tenant_id and x.currency = f.currency and x.rate_on = f.spend_on) end, 6) as spend,
           0 as leads, 0 as uniques, 0 as qualified, 0 as won, 0 as revenue
      from published.fct_ad_spend_daily f join crm.tenant t on t.tenant_id = f.tenant_id
    union all
    select l.tenant_id, (l.acquired_at at time zone coalesce(z.zone, t.timezone))::date, l.platform,
           coalesce(z.account_id, ''), l.campaign, 0, 1, (not l.is_duplicate)::int, (l.qualified_at is not null)::int,
           (l.won_at <= l.received_at + interval '90 days')::int, coalesce(r.revenue, 0)
      from published.fct_lead_cycle l
      join crm.tenant t on t.tenant_id = l.tenant_id
      cross join lateral (
        select max(f.account_zone) as zone, max(f.account_id) as account_id from published.fct_ad_spend_daily f
         where f.tenant_id = l.tenant_id and f.platform = l.platform and f.campaign_id = l.campaign) as z
      cross join lateral (
        select sum(s.net_amount) as revenue from published.fct_sale s
         where s.tenant_id = l.tenant_id and s.lead_id = l.lead_id and s.cycle_no = l.cycle_no
           and s.is_within_90d) as r
     where l.cycle_no = 1 and not l.is_test and l.ad <> 'unknown' and l.campaign <> 'unknown') as ads""",
    "day", {"platform": "platform", "account": "account_id", "campaign": "campaign_id"},
)  # fmt: skip


def per(part: str, whole: str) -> Hand:
    """Return a metric of what ads cost and brought: a sum by a sum."""
    return Hand(f"sum({part})::float8 / nullif(sum({whole}), 0)", (ADS,), counts_rows=False)


MONEY = {
    "revenue_per_agent": Hand("sum(net_amount)::float8 / nullif(count(distinct agent_id), 0)", (SALE, BI_SALE)),
    "revenue_per_lead": Hand("coalesce(sum(revenue), 0)::float8 / nullif(count(*), 0)", EARNED),
    "cpl": per("spend", "leads"),
    "cpl_unique": per("spend", "uniques"),
    "cpql": per("spend", "qualified"),
    "cpa": per("spend", "won"),
    "roas": per("revenue", "spend"),
}

AGREED = Place(
    "published.fct_lead_consent", "received_on",
    {"platform": "platform", "source": "source", "channel": "channel"}, "not is_test",
)  # fmt: skip
CONTACT = Place(
    "published.fct_call c cross join lateral (select count(*) > 0 as came_back from published.fct_call n"
    " where n.tenant_id = c.tenant_id and n.contact_id = c.contact_id and n.direction = 'inbound' and n.is_handled"
    " and not n.is_test and coalesce(n.disposition_party, 'right') <> 'wrong'"
    " and coalesce(n.disposition, 'unspecified') = coalesce(c.disposition, 'unspecified')"
    " and (n.started_at, n.call_id) > (c.started_at, c.call_id)"
    " and n.started_at <= c.started_at + interval '7 days') as later",
    "(started_at at time zone timezone)::date", {"queue": "queue"},
    "direction = 'inbound' and is_handled and not is_test and coalesce(disposition_party, 'right') <> 'wrong'",
)  # fmt: skip
BI_CONTACT = Place("bi.inbound_contact", "started_on", CONTACT.dims)
RESOLUTION = {
    "fcr": Hand(
        share("contact_id is not null and not came_back", "contact_id is not null"), (CONTACT, BI_CONTACT),
        {"bi.inbound_contact": share("is_known_person and not is_followed_same_reason", "is_known_person")},
    ),
    "consent_coverage": Hand(share("has_consent"), (AGREED,), always=("channel",)),
}  # fmt: skip

DOMAINS: Mapping[str, Mapping[str, Hand]] = {
    "inbound": INBOUND, "callbacks": CALLBACKS, "handling": HANDLING, "agents": AGENTS, "dialling": DIALLING,
    "response": RESPONSE, "funnel": FUNNEL, "money": MONEY, "resolution and compliance": RESOLUTION,
}  # fmt: skip
HANDS: Mapping[str, Hand] = {name: hand for hands in DOMAINS.values() for name, hand in hands.items()}
