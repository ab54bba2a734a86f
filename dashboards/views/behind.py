"""What is behind a figure: the leads or calls it was made of, and the timeline of one of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import streamlit as st

from dashboards import catalogue, session
from dashboards.queries import Scope
from dashboards.views import calls, lead
from dashboards.words import say


@dataclass(frozen=True)
class Behind:
    """Which list shows what a figure was made of, narrowed as far as the API can; `is_wider`: it holds more."""

    kind: Literal["leads", "calls"]
    filters: tuple[str, ...] = ()
    is_wider: bool = False


LEADS, CALLS = Behind("leads"), Behind("calls")
INBOUND = Behind("calls", ("direction:in:inbound",))
OUTBOUND = Behind("calls", ("direction:in:outbound",))
ANSWERED_IN = replace(INBOUND, filters=(*INBOUND.filters, "outcome:in:answered"))
TALKED = Behind("calls", ("outcome:in:answered",))

OF: Mapping[str, Behind] = {
    **dict.fromkeys(("funnel_reached", "conversion_rate", "speed_to_lead_s", "speed_to_lead_s_p90",
                     "speed_to_lead_s_share_5m",
                     "response_sla_compliance", "first_response_s", "first_response_s_biz", "agent_response_s",
                     "time_to_contact_s", "ingestion_lag_s", "reassignment_rate", "contact_rate_lead",
                     "wrong_number_rate", "revenue_per_lead", "cpl", "cpql", "cpa", "roas", "platform_lead_gap",
                     "consent_coverage", "conversion_velocity_days"), LEADS),
    "duplicate_rate": Behind("leads", ("is_duplicate:is:true",)),
    "cpl_unique": Behind("leads", ("is_duplicate:is:false",)),
    "overdue_followups": Behind("leads", ("sla:in:breached",)),
    "offered": INBOUND,
    "answered": ANSWERED_IN,
    "asa_s": ANSWERED_IN,
    "wait_p90": ANSWERED_IN,
    "service_level": replace(INBOUND, is_wider=True),
    "service_level_strict": replace(INBOUND, is_wider=True),
    **dict.fromkeys(("abandonment_rate", "short_abandons", "avg_abandon_wait_s"),
                    Behind("calls", ("direction:in:inbound", "outcome:in:abandoned"))),
    "callback_share": replace(INBOUND, is_wider=True),
    "callback_kept_rate": Behind("calls", ("purpose:in:callback",)),
    "transfer_rate": replace(TALKED, is_wider=True),
    **dict.fromkeys(("handled", "aht_s", "acw_s", "contacts_per_hour"), TALKED),
    "hold_s": replace(TALKED, is_wider=True),
    **dict.fromkeys(("connect_rate", "contact_rate_attempt", "rpc_rate", "attempts_per_contact"), OUTBOUND),
    **dict.fromkeys(("drop_rate_us", "drop_rate_uk"), Behind("calls", ("direction:in:outbound", "outcome:in:dropped"))),
}  # fmt: skip
"""The list behind each metric. Money spent, states of agents and figures of the platform have none."""


def of(name: str) -> Behind | None:
    """Return the list behind a metric, when there is one that the signed-in person may see."""
    return OF.get(name.partition(".")[0]) if any(session.may(permission) for permission in lead.VIEW) else None


def open_for(name: str, scope: Scope, *, narrowed: Mapping[str, Any] | None = None) -> None:
    """Open the list behind a metric over the page; `narrowed`: by the value of a dimension too."""
    found = OF[name.partition(".")[0]]
    chosen = dict(scope.chosen) | {dim: [value] for dim, value in (narrowed or {}).items()}
    st.dialog(f"{say('behind')}: {catalogue.label(name)}", width="large")(_show)(
        found, Scope(scope.first, scope.last, chosen)
    )


def _show(found: Behind, scope: Scope) -> None:
    if found.is_wider:
        st.caption(f":material/info: {say('wider')}")
    if found.kind == "leads":
        stages = [lead.standing_in(stage) for stage in scope.chosen.get("stage", ())]
        lead.of_scope(scope, (*found.filters, *stages))
    else:
        calls.of_scope(scope, found.filters)
