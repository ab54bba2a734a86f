"""How soon leads are answered, how far they come and why they are lost, in SQL by hand."""

from collections.abc import Mapping

from orchestration.hands.places import Hand, Place, middle, seconds, share

LEAD_DIMS = {"platform": "platform", "source": "source", "campaign": "campaign", "form": "form"}
LEAD = Place(
    "published.fct_lead_cycle", "received_on", {**LEAD_DIMS, "team": "first_team_id::text"}, "not is_test"
)  # fmt: skip
BI_LEAD = Place("bi.lead", "received_on", {**LEAD_DIMS, "team": "team_id::text"})
LEADS = (LEAD, BI_LEAD)
TIMED = "acquired_at_known and first_attempt_at >= acquired_at"
SPEED = seconds("acquired_at", "first_attempt_at")
LAG = seconds("acquired_at", "received_at"), "acquired_at_known and received_at >= acquired_at"
RESPONSE_TIME = seconds("received_at", "first_attempt_at"), "first_attempt_at >= received_at"
TO_CONTACT = seconds("acquired_at", "first_contact_at"), "acquired_at_known and first_contact_at >= acquired_at"
NOT_OF_A_TEST = (
    " join (select tenant_id, lead_id, cycle_no, is_test from published.fct_lead_cycle) as cycles"
    " using (tenant_id, lead_id, cycle_no)"
)
GIVEN = Place(
    "published.fct_lead_assignment_interval" + NOT_OF_A_TEST, "started_on",
    {"agent": "user_id::text", "team": "team_id::text"}, "not is_test",
)  # fmt: skip
IN_HAND = Place("published.fct_lead_cycle l", LEAD.day, LEAD_DIMS, LEAD.where)
CLOCK = Place(
    "published.fct_sla_timer" + NOT_OF_A_TEST, "started_on", {"promise": "kind", "rule": "rule_code"}, "not is_test"
)


def handed_on(how: str = "true") -> Hand:
    """Return the share of the cycles somebody had that went on to somebody else, in some way."""
    hands = (
        "exists (select from published.fct_lead_assignment_interval a where a.tenant_id = l.tenant_id"
        f" and a.lead_id = l.lead_id and a.cycle_no = l.cycle_no and a.is_reassignment and {how})"
    )
    return Hand(share(hands, "assigned_at is not null"), (IN_HAND,))


RESPONSE: Mapping[str, Hand] = {
    "ingestion_lag_s": Hand(middle(*LAG), (LEAD,)),
    "ingestion_lag_s_p95": Hand(middle(*LAG, at=0.95), (LEAD,)),
    "speed_to_lead_s": Hand(middle(SPEED, TIMED), LEADS, {"bi.lead": middle("speed_to_lead_s")}),
    "speed_to_lead_s_p90": Hand(middle(SPEED, TIMED, 0.9), LEADS, {"bi.lead": middle("speed_to_lead_s", at=0.9)}),
    "speed_to_lead_s_share_5m": Hand(
        share(f"{TIMED} and {SPEED} <= 300", f"acquired_at_known and (first_attempt_at is null or {TIMED})"), (LEAD,)
    ),
    "first_response_s": Hand(middle(*RESPONSE_TIME), LEADS),
    "first_response_s_p90": Hand(middle(*RESPONSE_TIME, at=0.9), LEADS),
    # No table of the marts keeps the calendars that these follow from.
    "first_response_s_biz": Hand(middle("first_response_biz_s"), (LEAD,)),
    "first_response_s_biz_p90": Hand(middle("first_response_biz_s", at=0.9), (LEAD,)),
    "time_to_contact_s": Hand(middle(*TO_CONTACT), (LEAD,)),
    "time_to_contact_s_p90": Hand(middle(*TO_CONTACT, at=0.9), (LEAD,)),
    "agent_response_s": Hand(middle(seconds("started_at", "first_attempt_at")), (GIVEN,)),
    "agent_response_s_p90": Hand(middle(seconds("started_at", "first_attempt_at"), at=0.9), (GIVEN,)),
    "response_sla_compliance": Hand(
        share("kind = 'first_response' and state = 'met'",
              "kind = 'first_response' and (state in ('met', 'breached') or end_reason = 'closed_unanswered')"),
        (CLOCK,),
    ),
    "overdue_followups": Hand(
        "count(*) filter (where state = 'breached' and ended_at is null)::float8", (CLOCK,), is_count=True
    ),
    "reassignment_rate": handed_on(),
    "reassignment_rate_auto": handed_on("a.is_auto"),
    "reassignment_rate_manual": handed_on("not a.is_auto"),
    "duplicate_rate": Hand(share("is_duplicate", "cycle_no = 1"), LEADS),
}  # fmt: skip

STAGES = (
    " cross join (values ('lead', 1), ('contacted', 2), ('qualified', 3), ('proposal', 4), ('sale', 5))"
    " as stages (stage, place)"
)
STAGED = tuple(Place(each.relation + STAGES, each.day, {**each.dims, "stage": "stage"}, each.where) for each in LEADS)
BI_FUNNEL = Place("bi.funnel", "received_on", {**BI_LEAD.dims, "stage": "stage"})
# Into a stage (1) and, under its name, into the one after it (0), each on its own day.
ENTRIES = Place(
    "published.fct_lead_cycle join (select tenant_id, timezone from crm.tenant) as firms using (tenant_id)"
    " cross join lateral (values"
    " ('lead', received_at, 1), ('lead', contacted_at, 0), ('contacted', contacted_at, 1),"
    " ('contacted', qualified_at, 0), ('qualified', qualified_at, 1), ('qualified', proposal_at, 0),"
    " ('proposal', proposal_at, 1), ('proposal', sale_reached_at, 0)) as entries (stage, entered_at, entered)",
    "(entered_at at time zone timezone)::date", {"stage": "stage", "platform": "platform"},
    "not is_test and entered_at is not null",
)  # fmt: skip
DWELT = Place(
    "published.fct_lead_stage_interval i join (select tenant_id, lead_id, cycle_no, is_test, platform, received_on"
    " from published.fct_lead_cycle) as cycles using (tenant_id, lead_id, cycle_no)"
    " join published.dim_as_of as known using (tenant_id)",
    "received_on", {"stage": "stage", "platform": "platform"}, "not is_test and status not in ('won', 'lost')",
)  # fmt: skip
LOSSES = Place(
    "(select tenant_id, lost_on, coalesce(loss_reason, 'unspecified') as lost_for from published.fct_lead_cycle"
    " where status = 'lost' and not is_test) as losses"
    " join (select distinct tenant_id, coalesce(loss_reason, 'unspecified') as reason from published.fct_lead_cycle"
    " where status = 'lost') as reasons using (tenant_id)",
    "lost_on", {"reason": "reason"},
)  # fmt: skip
WON = "won_at <= received_at + interval '90 days'"
DAYS_TO_SALE = f"round({seconds('received_at', 'won_at')} / 86400, 6)"
BY_STAGE = ("stage",)
FUNNEL: Mapping[str, Hand] = {
    "funnel_reached": Hand(
        "count(*) filter (where max_rank >= place)::float8", (*STAGED, BI_FUNNEL),
        {"bi.funnel": "count(*) filter (where is_reached)::float8"}, always=BY_STAGE, is_count=True,
    ),
    "stage_conversion": Hand(share("max_rank > place", "max_rank >= place and place < 5"), STAGED, always=BY_STAGE),
    "stage_conversion_period": Hand(
        share("entered = 0", "entered = 1"), (ENTRIES,), always=BY_STAGE
    ),
    "stage_dwell_s": Hand(
        f"sum({seconds('started_at', 'coalesce(ended_at, greatest(as_of, started_at))')})::float8"
        " / nullif(count(distinct (lead_id, cycle_no)), 0)",
        (DWELT,), always=BY_STAGE,
    ),
    "conversion_rate": Hand(share(WON), LEADS),
    "conversion_velocity_days": Hand(middle(DAYS_TO_SALE), LEADS),
    "conversion_velocity_days_p90": Hand(middle(DAYS_TO_SALE, at=0.9), LEADS),
    "loss_reason_share": Hand(share("lost_for = reason"), (LOSSES,), always=("reason",), is_count=True),
}  # fmt: skip
