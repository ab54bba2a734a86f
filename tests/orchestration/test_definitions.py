"""What Dagster is told: the list of assets, who answers for them, when they refresh."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from orchestration import definitions, policy

KEYS = [
    "int/int_agent_session_moves",
    "int/int_agent_time_news",
    "int/int_call_wrap_up",
    "marts/dim_agent",
    "marts/dim_campaign",
    "marts/dim_date",
    "marts/dim_pause_reason",
    "marts/dim_queue",
    "marts/dim_stage_map",
    "marts/dim_team",
    "marts/fct_ad_spend_daily",
    "marts/fct_agent_state_15m",
    "marts/fct_agent_state_interval",
    "marts/fct_agent_time_15m",
    "marts/fct_call",
    "marts/fct_call_leg",
    "marts/fct_lead_cycle",
    "marts/fct_lead_stage_interval",
    "marts/fct_lead_stage_reached",
    "marts/fct_queue_visit",
    "raw/ad_reports",
    "stg/stg_ads__report_rows",
    "stg/stg_crm__campaigns",
    "stg/stg_crm__lead_events",
    "stg/stg_crm__teams",
    "stg/stg_crm__tenants",
    "stg/stg_crm__users",
    "stg/stg_telephony__agent_events",
    "stg/stg_telephony__call_events",
    "stg/stg_telephony__pause_reason_changes",
    "stg/stg_telephony__queue_visit_events",
    "stg/stg_telephony__queues",
    "stg/stg_telephony__team_moves",
    "stg/stg_telephony__team_zones",
    "stg/stg_telephony__wrap_ups",
]
"""Others build on these names: changing one is a decision."""


@pytest.fixture
def defs(parsed: Path) -> dg.Definitions:
    return definitions.defs()


def ours(defs: dg.Definitions) -> list[dg.AssetSpec]:
    return [
        spec for spec in defs.resolve_all_asset_specs() if defs.resolve_asset_graph().get(spec.key).is_materializable
    ]


class TestAssets:
    def test_are_these(self, defs: dg.Definitions) -> None:
        assert sorted(spec.key.to_user_string() for spec in ours(defs)) == KEYS

    def test_have_an_owner_a_description_kinds_and_freshness(self, defs: dg.Definitions) -> None:
        bare = [
            spec.key.to_user_string()
            for spec in ours(defs)
            if not (spec.owners and spec.description and spec.kinds and spec.freshness_policy)
        ]
        assert bare == []

    def test_refresh_eagerly_only_past_the_gate(self, defs: dg.Definitions) -> None:
        conditions = {spec.key.to_user_string(): spec.automation_condition for spec in ours(defs)}

        assert {name for name, condition in conditions.items() if condition} == {
            "marts/fct_ad_spend_daily", "stg/stg_ads__report_rows",
        }  # fmt: skip
        assert all(condition in (None, policy.gated_eager()) for condition in conditions.values())

    def test_spend_hangs_on_the_gate(self, defs: dg.Definitions) -> None:
        graph = defs.resolve_asset_graph()

        assert dg.AssetKey(["raw", "ad_reports"]) in graph.get(dg.AssetKey(["stg", "stg_ads__report_rows"])).parent_keys


class TestGatedEager:
    def test_waits_while_a_blocking_check_fails(self) -> None:
        verdict = {"passed": False}

        @dg.asset(check_specs=[dg.AssetCheckSpec("gate", asset="report", blocking=True)])
        def report() -> dg.MaterializeResult:
            return dg.MaterializeResult(
                check_results=[dg.AssetCheckResult(check_name="gate", passed=verdict["passed"])]
            )

        @dg.asset(deps=[report], automation_condition=policy.gated_eager())
        def mart() -> None: ...

        defs, instance = dg.Definitions(assets=[report, mart]), dg.DagsterInstance.ephemeral()
        first = dg.evaluate_automation_conditions(defs, instance)
        dg.materialize([report], instance=instance, raise_on_error=False)
        held = dg.evaluate_automation_conditions(defs, instance, cursor=first.cursor)
        verdict["passed"] = True
        dg.materialize([report], instance=instance)
        released = dg.evaluate_automation_conditions(defs, instance, cursor=held.cursor)

        assert (held.total_requested, released.total_requested) == (0, 1)


class TestAutomation:
    def test_is_on_from_the_start(self, defs: dg.Definitions) -> None:
        repository = defs.get_repository_def()

        assert {one.name: one.default_status for one in repository.schedule_defs} == {
            "refresh_leads": dg.DefaultScheduleStatus.RUNNING,
            "refresh_telephony": dg.DefaultScheduleStatus.RUNNING,
        }
        assert {one.name: one.default_status for one in repository.sensor_defs} == {
            "landed_ad_reports": dg.DefaultSensorStatus.RUNNING,
            "refresh_ads": dg.DefaultSensorStatus.RUNNING,
        }
        assert repository.get_schedule_def("refresh_leads").cron_schedule == policy.EVERY_FIVE_MINUTES


class TestImport:
    def test_brings_no_great_expectations_and_leaves_the_manifest_alone(self, parsed: Path) -> None:
        before = (parsed / "manifest.json").stat().st_mtime_ns
        script = (
            "import sys; from orchestration.definitions import defs; defs(); print('great_expectations' in sys.modules)"
        )

        said = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=True
        )

        assert said.stdout.split()[-1] == "False"
        assert (parsed / "manifest.json").stat().st_mtime_ns == before
