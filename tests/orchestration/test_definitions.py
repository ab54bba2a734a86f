"""What Dagster is told: the list of assets, who answers for them, when they refresh."""

import ast
from pathlib import Path

import dagster as dg
import pytest

from crm import alerts
from orchestration import definitions, gates, policy, transform
from tests.pipeline import loaded

ROOT = Path(__file__).parents[2]
REPORTS = ["raw", "ad_reports"]
"""Judged when it lands, by a sensor of its own."""
RATES = ["raw", "fx_rates"]
"""Asked of the central banks, twice a day; judged before it lands."""
SNAPSHOT = Path(__file__).with_name("asset_keys.txt")
"""Every asset, one a line. Others build on these names: changing one is a decision that somebody reads here."""
DOMAINS = {"ads", "bi", "imports", "leads", "metrics", "money", "operations", "platform", "quality", "telephony"}
GROUPS = DOMAINS | {"ingestion", "sources"}


@pytest.fixture
def defs(parsed: Path) -> dg.Definitions:
    return loaded()


def ours(defs: dg.Definitions) -> list[dg.AssetSpec]:
    return [
        spec for spec in defs.resolve_all_asset_specs() if defs.resolve_asset_graph().get(spec.key).is_materializable
    ]


class TestAssets:
    def test_are_these(self, defs: dg.Definitions) -> None:
        assert sorted(spec.key.to_user_string() for spec in ours(defs)) == SNAPSHOT.read_text().split()

    def test_have_an_owner_a_description_kinds_and_freshness(self, defs: dg.Definitions) -> None:
        bare = [
            spec.key.to_user_string()
            for spec in ours(defs)
            if not (spec.owners and spec.description and spec.kinds and spec.freshness_policy)
        ]
        assert bare == []

    def test_are_of_the_teams_that_answer_for_the_domains(self, defs: dg.Definitions) -> None:
        owners: dict[str, set[str]] = {}
        for spec in ours(defs):
            owners.setdefault(spec.tags["domain"], set()).update(spec.owners)

        assert owners["leads"] == {"team:sales-operations"}
        assert owners["telephony"] == {"team:contact-centre"}
        assert owners["ads"] == {"team:marketing"}
        assert owners["platform"] == {policy.ENGINEERS}
        assert "team:finance" in owners["money"]
        assert "team:compliance" in owners["quality"] & owners["operations"]

    def test_say_what_they_check(self, defs: dg.Definitions) -> None:
        checks = [spec for made in defs.resolve_asset_graph().assets_defs for spec in made.check_specs]

        assert len(checks) > 50
        assert [spec.name for spec in checks if not spec.description] == []
        ours_own = {f"test:{spec.name}" for spec in checks if transform.UNIQUE_ID not in spec.metadata}
        assert ours_own <= alerts.WORDS.keys(), "what a firm reads of an alert, in both languages"

    def test_stand_in_groups_by_domain(self, defs: dg.Definitions) -> None:
        strays = [
            spec.key.to_user_string()
            for spec in ours(defs)
            if spec.group_name not in GROUPS or spec.tags.get("domain") not in DOMAINS
        ]

        assert strays == []

    def test_read_operational_tables_only_past_their_gates(self, defs: dg.Definitions) -> None:
        graph = defs.resolve_asset_graph()
        open_to_the_world = []
        for spec in ours(defs):
            parents = {key.to_user_string() for key in graph.get(spec.key).parent_keys}
            wanted = set(gates.FEEDS.get(spec.group_name or "", ()))
            if any(parent.startswith("crm/") for parent in parents) and not wanted <= parents:
                open_to_the_world.append(spec.key.to_user_string())

        assert open_to_the_world == []

    def test_refresh_eagerly_only_what_hangs_on_reports(self, defs: dg.Definitions) -> None:
        conditions = {spec.key.to_user_string(): spec.automation_condition for spec in ours(defs)}

        assert {name for name, condition in conditions.items() if condition} == {
            "marts/fct_ad_spend_daily", "stg/stg_ads__report_rows",
        }  # fmt: skip

    def test_spend_hangs_on_the_gate(self, defs: dg.Definitions) -> None:
        graph = defs.resolve_asset_graph()

        assert dg.AssetKey(["raw", "ad_reports"]) in graph.get(dg.AssetKey(["stg", "stg_ads__report_rows"])).parent_keys


class TestAutomation:
    def test_is_on_from_the_start(self, defs: dg.Definitions) -> None:
        repository = defs.get_repository_def()

        assert {one.default_status for one in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
        assert {one.name for one in repository.schedule_defs} >= {
            "refresh_leads", "refresh_telephony", "refresh_money", "refresh_quality", "refresh_platform",
            "replay_yesterday", "look_at_events", "look_at_operations", "look_for_silent_accounts", "write_data_docs",
            "compare_numbers", "drop_outdated_as_of", "pull_rates",
        }  # fmt: skip
        assert {one.default_status for one in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
        automated = [*repository.schedule_defs, *repository.sensor_defs]
        assert [one.name for one in automated if not one.description] == []
        assert {one.name for one in repository.sensor_defs} == {
            "landed_ad_reports", "refresh_ads", "tell_of_failures", "tell_of_recovery",
        }  # fmt: skip
        assert repository.get_schedule_def("refresh_leads").cron_schedule == policy.EVERY_FIVE_MINUTES

    def test_runs_are_called_by_what_they_make(self, defs: dg.Definitions) -> None:
        repository = defs.get_repository_def()

        jobs = [repository.get_job(one.job_name) for one in repository.schedule_defs]

        assert [job.name for job in jobs if job.name.startswith("__") or not job.description] == []

    def test_every_schedule_that_builds_passes_its_gates_first(self, defs: dg.Definitions) -> None:
        graph, repository = defs.resolve_asset_graph(), defs.get_repository_def()

        for name in ("refresh_leads", "refresh_telephony", "refresh_money", "refresh_quality"):
            job = repository.get_job(repository.get_schedule_def(name).job_name)
            chosen = job.asset_layer.executable_asset_keys
            gates = {key for one in chosen for key in graph.get(one).parent_keys if key.path[0] == "raw"}

            assert {key for key in gates if graph.get(key).is_executable} <= set(chosen) | {
                dg.AssetKey(REPORTS), dg.AssetKey(RATES),
            }, name  # fmt: skip

    def test_builds_each_domain_in_a_run_of_its_own(self, defs: dg.Definitions) -> None:
        repository = defs.get_repository_def()
        graph = defs.resolve_asset_graph()
        built: dict[str, set[str]] = {}
        for schedule in repository.schedule_defs:
            job = repository.get_job(schedule.job_name)
            built[schedule.name] = {
                graph.get(key).tags["domain"] for key in job.asset_layer.executable_asset_keys if key.path[0] == "marts"
            }

        assert {name: domains for name, domains in built.items() if len(domains) > 1} == {}, "red holds up nobody else"
        assert {"leads", "money", "platform", "quality", "telephony"} <= set().union(*built.values())

    def test_wants_the_one_pool_of_whatever_it_writes(self, defs: dg.Definitions) -> None:
        repository = defs.get_repository_def()

        def pools(name: str) -> set[str]:
            job = repository.get_job(repository.get_schedule_def(name).job_name)
            return {pool for each in job.nodes for pool in each.definition.pools}

        refreshes = [one.name for one in repository.schedule_defs if one.name.startswith("refresh_")]
        assert {name: "marts" in pools(name) for name in refreshes} == dict.fromkeys(refreshes, True)
        assert pools("replay_yesterday") == {"replay"}
        assert pools("look_at_operations") == {"upkeep"}
        assert pools("look_at_events") == set(), "whoever looks whether readers are held back waits for nobody"


SLOW = {"great_expectations", "pandas", "expectations.docs", "expectations.gate", "expectations.suites"}
"""What takes seconds to import. Nothing but the pipeline imports the modules of expectations; the last three bring the
first two."""


def imported_at_once(module: Path) -> set[str]:
    """Return what a module imports when it is loaded itself; what its functions import comes later."""
    found = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


class TestImport:
    def test_brings_no_great_expectations(self) -> None:
        modules = [
            *(ROOT / "orchestration").rglob("*.py"),
            ROOT / "expectations/rules.py",
            ROOT / "expectations/usual.py",
        ]

        assert len(modules) > 40
        assert {each.name: slow for each in modules if (slow := imported_at_once(each) & SLOW)} == {}
        assert imported_at_once(ROOT / "expectations/gate.py") & SLOW, "it would be seen"

    def test_leaves_the_manifest_alone(self, defs: dg.Definitions, parsed: Path) -> None:
        before = (parsed / "manifest.json").stat().st_mtime_ns

        again = definitions.defs()

        assert again.resolve_asset_graph().get_all_asset_keys() == defs.resolve_asset_graph().get_all_asset_keys()
        assert (parsed / "manifest.json").stat().st_mtime_ns == before
