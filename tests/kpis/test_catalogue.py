"""The catalogue is whole: every KPI is a metric, with words in both languages, and compiles by all it can be cut by."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from kpis import answers, catalogue, compiler, manifest
from kpis.access import Scope
from kpis.catalogue import Definition
from kpis.questions import Query

KEYS = {
    1: """offered offered_ooh answered short_abandons service_level service_level_strict service_level_credit
          service_level_answered service_level_ignore_sl_abandons asa_s wait_p50 wait_p90 abandonment_rate
          abandonment_rate_gross avg_abandon_wait_s callback_share callback_kept_rate callback_wait_s transfer_rate""",
    2: """handled aht_s acw_s hold_s occupancy utilisation shrinkage schedule_adherence schedule_conformance
          agent_state_s contacts_per_hour revenue_per_agent""",
    3: """connect_rate contact_rate_attempt contact_rate_lead rpc_rate rpc_of_contacts drop_rate_us drop_rate_uk
          list_penetration attempts_per_contact wrong_number_rate dial_block_rate dial_fail_rate""",
    4: """ingestion_lag_s speed_to_lead_s first_response_s agent_response_s response_sla_compliance overdue_followups
          time_to_contact_s reassignment_rate duplicate_rate""",
    5: """funnel_reached stage_conversion conversion_rate conversion_velocity_days pipeline_velocity stage_dwell_s cpl
          cpl_unique cpql cpa roas roas_platform platform_lead_gap revenue_per_lead loss_reason_share
          churn_reason_share""",
    6: """fcr fcr_any_reason fcr_survey repeat_contact_rate csat qa_score compliance_incidents consent_coverage
          opt_out_propagation_s erasure_sla""",
    7: "api_p95_ms error_rate_5xx event_lag_s dialer_throughput mart_freshness_s uptime",
}
"""What KPI documentation asks for, by section; what is live on boards (`longest_wait_s`, `service_level_live`) is not
in the marts."""
LATER = {
    "fcr_survey",
    "csat",
    "qa_score",
    "survey_response_rate",
    "utilisation",
    "shrinkage",
    "schedule_adherence",
    "schedule_conformance",
    "compliance_incidents",
    "opt_out_propagation_s",
    "erasure_sla",
    "roas_platform",
    "revenue_per_agent",
}
"""What may have no source yet: surveys, reviews, schedules, incidents, acknowledgements of partners, erasures."""


@pytest.fixture
def public(parsed: object) -> dict[str, Definition]:
    return {item.name: item for item in catalogue.public()}


class TestCatalogue:
    @pytest.mark.parametrize("section", KEYS)
    def test_has_every_kpi_of_the_section(self, public: dict[str, Definition], section: int) -> None:
        missing = [key for key in KEYS[section].split() if key not in public]

        assert missing == []

    def test_is_complete_in_both_languages(self, public: dict[str, Definition]) -> None:
        incomplete = [
            f"{name}: {word}"
            for name, item in public.items()
            for word in ("label", "label_tr", "description", "description_tr", "unit", "formula", "owner", "edge_cases")
            if not catalogue.described(item)[word]
        ]
        turkish = [name for name, item in public.items() if item.words("tr") == item.words("en")]
        nowhere = [name for name, item in public.items() if item.section not in catalogue.SECTIONS]
        ageless = [name for name, item in public.items() if not isinstance(item.meta.get("maturity_days"), int)]

        assert (incomplete, turkish, nowhere, ageless) == ([], [], [], [])

    def test_says_where_there_is_no_source_yet(self, public: dict[str, Definition]) -> None:
        without = {name for name, item in public.items() if not item.has_source}

        assert {name for name in without if not name.startswith(tuple(LATER))} == set()
        assert all(catalogue.described(public[name])["source_status"] == "no source yet" for name in without)

    def test_names_each_by_a_hash_of_its_own(self, public: dict[str, Definition]) -> None:
        hashes = [item.hash for item in public.values()]

        assert len(set(hashes)) == len(hashes)
        assert all(re.fullmatch("[0-9a-f]{16}", each) for each in hashes)

    def test_compiles_every_metric_by_all_it_can_be_cut_by(self, public: dict[str, Definition]) -> None:
        wrong = []
        for item in public.values():
            query = Query([item.name], by=sorted(item.dimensions), grain="week")
            try:
                (statement,) = answers.statements([item], query, Scope(floor=5))
                sql = statement.sql(query, "published")
            except Exception as error:  # whatever MetricFlow raises, by name of metric
                wrong.append(f"{item.name}: {type(error).__name__} {str(error)[:300]}")
            else:
                wrong += [f"{item.name}: reads {found}" for found in _elsewhere(sql)]

        assert wrong == []

    def test_reads_a_table_once_for_metrics_of_all_kinds(self, public: dict[str, Definition]) -> None:
        items = [public[name] for name in ("conversion_rate", "speed_to_lead_s", "duplicate_rate")]
        query = Query([item.name for item in items], by=["platform"], since=date(2026, 3, 1), until=date(2026, 4, 1))
        (statement,) = answers.statements(items, query, Scope(floor=5))

        sql = statement.sql(query, "published")

        assert (sql.count('FROM "published"'), statement.values(query)) == (1, [query.since, query.until])

    def test_takes_business_days_from_columns_that_are_dates(self, parsed: Path) -> None:
        nodes = json.loads((parsed / "manifest.json").read_text())["nodes"].values()
        typed = [(name, each["data_type"]) for node in nodes for name, each in node["columns"].items()]
        others = {name for name, kind in typed if kind not in ("date", None)}

        days = {
            dimension["expr"] or dimension["name"]
            for model in manifest.whole()["semantic_models"]
            for dimension in model["dimensions"]
            if dimension["type"] == "time"
        }

        assert days - others == days == days & {name for name, kind in typed if kind == "date"}

    def test_reads_what_is_published_alone(self, public: dict[str, Definition]) -> None:
        sql = catalogue.sql_of(public["conversion_rate"])

        assert '"published"."fct_lead_cycle"' in sql
        assert '"asof_x"."fct_lead_cycle"' in catalogue.sql_of(public["conversion_rate"], schema="asof_x")
        with pytest.raises(ValueError, match="no schema"):
            catalogue.sql_of(public["conversion_rate"], schema='x"; drop')


def _elsewhere(sql: str) -> list[str]:
    """Return the schemas named in a statement that are not the one to be read."""
    return [found for found in re.findall(r'(?:FROM|JOIN) "?(\w+)"?\.', sql) if found != "published"]


class TestHash:
    def test_follows_the_meaning_and_not_the_words(self, public: dict[str, Definition]) -> None:
        part = public["conversion_rate"].part
        words = {**part, "metrics": [{**one, "label": "Other", "description": "Other"} for one in part["metrics"]]}
        filtered = {**part, "metrics": [{**one, "filter": None} for one in part["metrics"]]}

        assert manifest.hash_of(part) == public["conversion_rate"].hash
        assert manifest.hash_of(words) == manifest.hash_of(part)
        assert manifest.hash_of(filtered) != manifest.hash_of(part)
        assert compiler.READ == "published"
