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
    """Which list shows what a figure was made of, narrowed as far as the API can; unless `is_all`, it holds more."""

    kind: Literal["leads", "calls"]
    filters: tuple[str, ...] = ()
    is_all: bool = False


LEADS, CALLS = Behind("leads"), Behind("calls")
ALL_LEADS = replace(LEADS, is_all=True)
INBOUND = Behind("calls", ("direction:in:inbound",))
OUTBOUND = Behind("calls", ("direction:in:outbound",))
ANSWERED_IN = replace(INBOUND, filters=(*INBOUND.filters, "outcome:in:answered"))
ABANDONED_IN = replace(INBOUND, filters=(*INBOUND.filters, "outcome:in:abandoned"))
TALKED = Behind("calls", ("outcome:in:answered",))
CALLED_BACK = Behind("calls", ("purpose:in:callback",))
DROPPED = replace(OUTBOUND, filters=(*OUTBOUND.filters, "outcome:in:dropped"))
OF: Mapping[str, Behind] = {
    **dict.fromkeys(("funnel_reached.lead", "conversion_rate", "revenue_per_lead"), ALL_LEADS),
    **dict.fromkeys(("funnel_reached", "stage_conversion", "stage_conversion_period", "stage_dwell_s",
                     "loss_reason_share", "speed_to_lead_s", "speed_to_lead_s_p90", "speed_to_lead_s_share_5m",
                     "response_sla_compliance", "first_response_s", "first_response_s_biz", "agent_response_s",
                     "time_to_contact_s", "ingestion_lag_s", "reassignment_rate", "contact_rate_lead",
                     "wrong_number_rate", "cpl", "cpql", "cpa", "roas", "roas_platform", "platform_lead_gap",
                     "revenue_per_agent", "pipeline_velocity", "consent_coverage", "conversion_velocity_days",
                     "conversion_velocity_days_p90"), LEADS),
    "duplicate_rate": Behind("leads", ("is_duplicate:is:true",)),
    "cpl_unique": Behind("leads", ("is_duplicate:is:false",)),
    "overdue_followups": Behind("leads", ("sla:in:breached",)),
    **dict.fromkeys(("offered", "offered_ooh", "service_level", "service_level_strict", "callback_share", "fcr",
                     "repeat_contact_rate"), INBOUND),
    **dict.fromkeys(("answered", "asa_s", "wait_p90"), ANSWERED_IN),
    **dict.fromkeys(("abandonment_rate", "short_abandons", "avg_abandon_wait_s"), ABANDONED_IN),
    **dict.fromkeys(("callback_kept_rate", "callback_wait_s"), CALLED_BACK),
    **dict.fromkeys(("handled", "aht_s", "acw_s", "hold_s", "contacts_per_hour", "transfer_rate"), TALKED),
    **dict.fromkeys(("connect_rate", "contact_rate_attempt", "rpc_rate", "attempts_per_contact", "list_penetration"),
                    OUTBOUND),
    **dict.fromkeys(("drop_rate_us", "drop_rate_uk"), DROPPED),
}  # fmt: skip
"""The list behind each figure. Money spent, states of agents and figures of the platform have none."""


def of(name: str) -> Behind | None:
    """Return the list behind a metric, when there is one that the signed-in person may see."""
    return _of(name) if any(session.may(permission) for permission in lead.VIEW) else None


def _of(name: str) -> Behind | None:
    return OF.get(name, OF.get(name.partition(".")[0]))


def open_for(name: str, scope: Scope, *, narrowed: Mapping[str, Any] | None = None) -> None:
    """Open the list behind a metric over the page; `narrowed`: by the value of a dimension too."""
    found = _of(name)
    assert found
    chosen = dict(scope.chosen) | {dim: [value] for dim, value in (narrowed or {}).items()}
    st.dialog(f"{say('behind')}: {catalogue.label(name)}", width="large")(_show)(
        found, Scope(scope.first, scope.last, chosen)
    )


def _show(found: Behind, scope: Scope) -> None:
    fields = lead.FIELDS if found.kind == "leads" else calls.FIELDS
    if not found.is_all or any(dim not in fields or "unknown" in values for dim, values in scope.chosen.items()):
        st.caption(f":material/info: {say('wider')}")
    elif found.kind == "leads":
        st.caption(f":material/info: {say('cycles')}")
    if found.kind == "leads":
        stages = [lead.standing_in(stage) for stage in scope.chosen.get("stage", ())]
        lead.of_scope(scope, (*found.filters, *stages))
    else:
        calls.of_scope(scope, found.filters)
