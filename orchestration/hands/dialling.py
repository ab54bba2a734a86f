"""What dialling campaigns tried and came to, in SQL by hand."""

from collections.abc import Mapping

from orchestration.hands.places import Hand, Place, share

DIAL = Place(
    "published.fct_dial_attempt", "(dialed_at at time zone timezone)::date",
    {"campaign": "campaign_id::text", "mode": "mode"},
)  # fmt: skip
DIALS = (DIAL, Place("bi.dial_attempt", "dialed_on", DIAL.dims))
LIVE = "starts_with(result, 'live_')"
WAITED = f"{LIVE} and not is_agent_first"
DROPPED = f"{WAITED} and coalesce(answer_to_agent_ms > 2000, true)"
DIALLED = Place("published.fct_dial_lead", "first_dialed_on", {"campaign": "campaign_id::text"})
LIST = Place("published.fct_dial_list", "loaded_on", {"campaign": "campaign_id::text"})
TO_DIAL = "is_attempt or result = 'blocked_by_policy'"
BLOCKS = Place(
    "published.fct_dial_attempt d join (select distinct b.tenant_id, b.block_reason as told_reason"
    " from published.fct_dial_attempt b where b.result = 'blocked_by_policy') reasons using (tenant_id)",
    DIAL.day, {"campaign": "campaign_id::text", "reason": "told_reason"},
)  # fmt: skip
BY_CAMPAIGN = ("campaign",)
DIALLING: Mapping[str, Hand] = {
    "connect_rate": Hand(share(f"{LIVE} or result = 'voicemail'", "is_attempt"), DIALS),
    "contact_rate_attempt": Hand(share(LIVE, "is_attempt"), DIALS),
    "rpc_rate": Hand(share("result = 'live_right_party'", "is_attempt"), DIALS),
    "rpc_of_contacts": Hand(share("result = 'live_right_party'", LIVE), DIALS),
    "dial_fail_rate": Hand(share("result = 'failed'", "is_attempt"), DIALS),
    "attempts_per_contact": Hand(
        f"count(*) filter (where is_attempt)::float8 / nullif(count(distinct lead_id) filter (where {LIVE}), 0)", DIALS
    ),
    "drop_rate_us": Hand(
        share(DROPPED, WAITED), DIALS, {"bi.dial_attempt": share("is_abandoned", "is_answered_live")},
        always=BY_CAMPAIGN,
    ),
    # With the people that machine detection took for machines, as the firm estimates them.
    "drop_rate_uk": Hand(
        f"(count(*) filter (where {DROPPED}) + sum(amd_false_positives))::float8"
        f" / nullif(count(*) filter (where {WAITED}) + sum(amd_false_positives), 0)",
        (DIAL,), always=BY_CAMPAIGN,
    ),
    "contact_rate_lead": Hand(share("first_contact_at <= first_dialed_at + interval '14 days'"), (DIALLED,)),
    "wrong_number_rate": Hand(share("is_wrong_number"), (DIALLED,)),
    "list_penetration": Hand(
        "sum(leads_attempted)::float8 / nullif(sum(leads_dialable), 0)", (LIST,), made_by="sum(leads_dialable)"
    ),
    "dial_block_rate": Hand(
        share("block_reason = told_reason", TO_DIAL), (BLOCKS,), always=("reason",),
        made_by=f"count(*) filter (where {TO_DIAL})",
    ),
}  # fmt: skip
