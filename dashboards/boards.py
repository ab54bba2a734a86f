"""The pages of figures: which KPIs stand where. A KPI that nothing publishes yet says so in its place."""

from dashboards.layout import Board, Pair, Ranking, Stacked, Table, Tiles, Trend

COMPANY = Board(
    "company",
    ("platform", "campaign", "team"),
    (
        Tiles("company.sales", ("funnel_reached.lead", "funnel_reached.sale", "conversion_rate",
                                "revenue_per_lead", "cpl", "roas")),
        Tiles("company.response", ("speed_to_lead_s", "speed_to_lead_s_share_5m", "response_sla_compliance",
                                   "overdue_followups", "contact_rate_lead")),
        Tiles("company.calls", ("offered", "service_level", "abandonment_rate", "aht_s.inbound", "occupancy")),
        Pair(
            Trend("company.speed", ("speed_to_lead_s", "speed_to_lead_s_p90")),
            Trend("company.level", ("service_level",), limit=0.8),
        ),
        Table("company.teams", ("conversion_rate", "speed_to_lead_s", "speed_to_lead_s_share_5m",
                                "response_sla_compliance"), by="team"),
    ),
)  # fmt: skip

CAMPAIGNS = Board(
    "campaigns",
    ("platform", "campaign"),
    (
        Tiles("campaigns.money", ("cpl", "cpl_unique", "cpql", "cpa", "roas", "revenue_per_lead")),
        Tiles("campaigns.truth", ("roas_platform", "platform_lead_gap", "duplicate_rate", "pipeline_velocity")),
        Pair(
            Trend("campaigns.cost", ("cpl", "cpql")),
            Ranking("campaigns.return", "roas", by="platform"),
        ),
        Table("campaigns.each", ("cpl", "cpql", "cpa", "roas", "conversion_rate", "speed_to_lead_s"), by="campaign"),
    ),
)  # fmt: skip

RESPONSE = Board(
    "sla",
    ("platform", "team"),
    (
        Tiles("sla.kept", ("response_sla_compliance", "overdue_followups", "first_response_s", "first_response_s_biz",
                           "agent_response_s", "time_to_contact_s")),
        Tiles("sla.flow", ("ingestion_lag_s", "speed_to_lead_s", "speed_to_lead_s_share_5m", "reassignment_rate",
                           "duplicate_rate")),
        Pair(
            Trend("sla.over_time", ("response_sla_compliance",)),
            Trend("company.speed", ("speed_to_lead_s", "speed_to_lead_s_p90")),
        ),
        Table("sla.teams", ("response_sla_compliance", "first_response_s", "speed_to_lead_s",
                            "speed_to_lead_s_share_5m", "reassignment_rate"), by="team"),
    ),
)  # fmt: skip

AGENTS = Board(
    "people",
    ("team", "agent"),
    (
        Tiles("people.work", ("handled", "aht_s.inbound", "aht_s.outbound", "acw_s.inbound", "occupancy",
                              "contacts_per_hour")),
        Tiles("people.time", ("utilisation", "shrinkage", "schedule_adherence", "schedule_conformance",
                              "revenue_per_agent")),
        Pair(
            Trend("people.busy", ("occupancy",)),
            Trend("people.handling", ("aht_s.inbound", "aht_s.outbound")),
        ),
        Stacked("people.states", "agent_state_s", by="state"),
        Table("people.each", ("handled", "aht_s.inbound", "aht_s.outbound", "acw_s.inbound", "hold_s.inbound",
                              "occupancy", "contacts_per_hour", "transfer_rate"), by="agent"),
    ),
)  # fmt: skip

QUEUES = Board(
    "service",
    ("queue",),
    (
        Tiles("service.level", ("offered", "answered", "service_level", "asa_s", "abandonment_rate", "short_abandons")),
        Tiles("service.care", ("service_level_strict", "wait_p90", "avg_abandon_wait_s", "callback_share",
                               "callback_kept_rate", "callback_wait_s")),
        Tiles("service.resolution", ("fcr", "repeat_contact_rate", "transfer_rate", "csat", "qa_score")),
        Pair(
            Trend("service.over_time", ("service_level",), limit=0.8),
            Trend("service.volume", ("offered", "answered"), is_bars=True),
        ),
        Table("service.each", ("offered", "answered", "service_level", "asa_s", "wait_p90", "abandonment_rate",
                               "callback_share", "offered_ooh"), by="queue"),
    ),
)  # fmt: skip

COMPLIANCE = Board(
    "compliance",
    ("dial_campaign",),
    (
        Tiles("compliance.drop", ("drop_rate_us.max", "drop_rate_uk.max", "compliance_incidents",
                                  "consent_coverage.call", "consent_coverage.whatsapp")),
        Tiles("compliance.reach", ("connect_rate", "contact_rate_attempt", "rpc_rate", "wrong_number_rate",
                                   "attempts_per_contact", "list_penetration")),
        Pair(
            Trend("compliance.over_time", ("drop_rate_us.max",), limit=0.03),
            Ranking("compliance.blocks", "dial_block_rate", by="reason"),
        ),
        Table("compliance.each", ("drop_rate_us", "drop_rate_uk", "connect_rate", "contact_rate_attempt",
                                  "list_penetration"), by="campaign"),
    ),
)  # fmt: skip

FUNNEL = Board(
    "funnel",
    ("platform", "campaign", "form"),
    (
        Tiles("", ("funnel_reached.lead", "funnel_reached.sale", "conversion_rate", "conversion_velocity_days",
                   "speed_to_lead_s", "speed_to_lead_s_share_5m")),
        Ranking("conversion_by", "conversion_rate", by="platform"),
        Pair(
            Trend("funnel.cohorts", ("conversion_rate",)),
            Trend("funnel.velocity", ("conversion_velocity_days", "conversion_velocity_days_p90")),
        ),
        Table("funnel.stages", ("funnel_reached", "stage_conversion", "stage_conversion_period", "stage_dwell_s"),
              by="stage"),
        Pair(
            Trend("company.speed", ("speed_to_lead_s", "speed_to_lead_s_p90")),
            Trend("share_axis", ("speed_to_lead_s_share_5m",), is_bars=True),
        ),
        Ranking("funnel.losses", "loss_reason_share", by="reason"),
    ),
)  # fmt: skip
"""The conversion by platform stands beside the funnel; cohorts, grey while they may still change, stand beside what
the period saw."""

QUALITY = Board(
    "quality",
    (),
    (
        Tiles("quality.fresh", ("mart_freshness_s", "event_lag_s", "ingestion_lag_s", "duplicate_rate")),
        Pair(
            Trend("quality.lag", ("event_lag_s",)),
            Ranking("platform_health.marts", "mart_freshness_s", by="domain"),
        ),
    ),
)  # fmt: skip

PLATFORM = Board(
    "platform_health",
    (),
    (
        Tiles("platform_health.now", ("api_p95_ms", "error_rate_5xx", "event_lag_s", "mart_freshness_s", "uptime",
                                      "dialer_throughput")),
        Trend("platform_health.over_time", ("api_p95_ms",)),
        Table("platform_health.marts", ("mart_freshness_s",), by="domain"),
        Table("platform_health.routes", ("api_p95_ms", "error_rate_5xx"), by="route"),
    ),
)  # fmt: skip
