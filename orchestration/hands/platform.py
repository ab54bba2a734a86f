"""What the platform measures of itself, in SQL by hand."""

from collections.abc import Mapping

from orchestration.hands.places import Hand, Place, quantile, share

REQUESTS = Place("published.fct_api_request_1m", "minute_on", {"route": "route", "method": "method"})
LAGS = Place("published.fct_event_lag_1m", "minute_on")
MINUTES = Place(
    "published.fct_uptime_1m left join (select tenant_id, minute_at, sum(errors) as errors, sum(requests) as requests"
    " from published.fct_api_request_1m group by tenant_id, minute_at) as told using (tenant_id, minute_at)",
    "minute_on", where="not is_maintenance",
)  # fmt: skip
DIALLER = Place(
    "(select tenant_id, (dialed_at at time zone timezone)::date as day, is_attempt::int as attempts, 0 as running_s"
    " from published.fct_dial_attempt union all select tenant_id, ran_on, 0, running_s from published.fct_dialer_day)"
    " as dialled",
    "day",
)  # fmt: skip
DURATIONS_MS = (5, 10, 25, 50, 100, 200, 300, 500, 750, 1000, 1500, 2500, 5000, 10000)
LAGS_MS = (50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000)
PLATFORM: Mapping[str, Hand] = {
    "api_p95_ms": Hand(quantile(0.95, DURATIONS_MS), (REQUESTS,), made_by=None),
    "error_rate_5xx": Hand("sum(errors)::float8 / nullif(sum(requests), 0)", (REQUESTS,), made_by=None),
    "event_lag_s": Hand(f"({quantile(0.95, LAGS_MS)}) / 1000.0", (LAGS,), made_by=None),
    "uptime": Hand(
        share("is_probe_ok and coalesce(errors < 0.01 * requests, true)"), (MINUTES,), made_by=None
    ),
    "dialer_throughput": Hand(
        "sum(attempts)::float8 / nullif(sum(running_s) / 60.0, 0)", (DIALLER,), made_by=None
    ),
}  # fmt: skip
