"""Stays in queues, callbacks, calls and their legs, and agents' time, in SQL by hand."""

from collections.abc import Mapping

from orchestration.hands.places import Hand, Place, mean, middle, seconds, share

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


INBOUND: Mapping[str, Hand] = {
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
    "service_level_answered": Hand(share(IN_SL, "outcome = 'answered'"), VISITS),
    "service_level_ignore_sl_abandons": Hand(
        share(IN_SL, "outcome = 'answered' or (outcome = 'abandoned' and wait_s > sl_s)"), VISITS
    ),
    "asa_s": Hand(mean("wait_s", "outcome = 'answered'"), VISITS),
    "wait_p50": Hand(middle("wait_s", "outcome = 'answered'"), VISITS),
    "wait_p90": Hand(middle("wait_s", "outcome = 'answered'", 0.9), VISITS),
    "abandonment_rate": Hand(share(GAVE_UP, f"not ({SHORT})"), VISITS),
    "abandonment_rate_gross": Hand(share("outcome = 'abandoned'"), VISITS),
    "avg_abandon_wait_s": Hand(mean("wait_s", GAVE_UP), VISITS),
    "callback_share": Hand(share("outcome = 'callback'"), VISITS),
}

PROMISE = Place(
    "published.fct_callback_request", "requested_on", {"queue": "queue", "kind": "kind"},
    "(status <> 'cancelled' or reason is distinct from 'customer') and not is_test",
)  # fmt: skip
CALLBACKS: Mapping[str, Hand] = {
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
# What is told of a call as a whole is told of the queue that it came to first.
CALL = Place(
    "published.fct_call c cross join lateral ("
    " select sum(l.talk_s + l.hold_s + l.wrap_s) as handling_s,"
    " bool_or(l.transfer_kind = 'attended') as was_given_warm, bool_or(l.transfer_kind = 'blind') as was_given_blind"
    " from published.fct_call_leg l"
    " where l.tenant_id = c.tenant_id and l.call_id = c.call_id and l.party = 'agent') as legs"
    " left join lateral (select v.queue as came_to from published.fct_queue_visit v"
    " where v.tenant_id = c.tenant_id and v.call_id = c.call_id order by v.visit_no limit 1) as first on true",
    "(started_at at time zone timezone)::date", {"queue": "came_to", "direction": "direction"},
    "not is_test and is_handled",
)  # fmt: skip
GIVEN_AWAY = Place(CALL.relation, CALL.day, {"queue": "came_to"}, f"{CALL.where} and direction = 'inbound'")
BI_GIVEN_AWAY = Place("bi.call", "started_on", {"queue": "first_queue"}, "is_handled and direction = 'inbound'")


def given_away(by_hand: str, in_view: str) -> Hand:
    """Return a share of the inbound calls that agents handled."""
    return Hand(share(by_hand), (GIVEN_AWAY, BI_GIVEN_AWAY), {"bi.call": share(in_view)})


BY_DIRECTION = ("direction",)
HANDLING: Mapping[str, Hand] = {
    "handled": Hand("count(distinct call_id)::float8", LEGS, is_count=True),
    "aht_s": Hand(mean("talk_s + hold_s + wrap_s"), LEGS, always=BY_DIRECTION),
    "acw_s": Hand(mean("wrap_s"), LEGS, always=BY_DIRECTION),
    "hold_s": Hand(mean("hold_s"), LEGS, always=BY_DIRECTION),
    "talk_s": Hand(mean("talk_s"), LEGS, always=BY_DIRECTION),
    "aht_s_call": Hand(mean("handling_s"), (CALL,), always=BY_DIRECTION),
    "transfer_rate": given_away("was_given_warm or was_given_blind", "is_transferred_warm or is_transferred_blind"),
    "transfer_rate_warm": given_away("was_given_warm", "is_transferred_warm"),
    "transfer_rate_blind": given_away("was_given_blind", "is_transferred_blind"),
}

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
AGENTS: Mapping[str, Hand] = {
    "occupancy": Hand("sum(busy_s)::float8 / nullif(sum(busy_s + available_s), 0)", (TIME, BI_TIME)),
    "contacts_per_hour": Hand("sum(handled)::float8 / nullif(sum(busy_s + available_s) / 3600.0, 0)", (TIME,)),
    "agent_state_s": Hand("sum(seconds)::float8", IN_STATE, always=("state",), is_count=True),
}
