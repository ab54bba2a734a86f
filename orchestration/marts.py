"""dbt in Dagster: how models become assets, and those of a domain its marts, which a schedule refreshes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from kpis import project
from orchestration import policy, transform, wording


class Models(DagsterDbtTranslator):
    """Assets are named `schema/model`, as the tables are."""

    def __init__(
        self,
        *,
        freshness: dg.FreshnessPolicy,
        condition: dg.AutomationCondition[Any] | None = None,
        gates: Sequence[dg.AssetKey] = (),
    ) -> None:
        """Make assets of models. `gates`: what must have passed before whatever reads the operational tables."""
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self.freshness = freshness
        self.condition = condition
        self.gates = gates

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return schema and name, or what a source says itself."""
        own = (dbt_resource_props.get("meta") or {}).get("dagster", {}).get("asset_key")
        return dg.AssetKey(own or [dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """Add what every asset of ours has."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        above, node = manifest.get("parent_map", {}).get(unique_id, []), manifest["nodes"].get(unique_id)
        gates = [dg.AssetDep(gate) for gate in self.gates if any(each.startswith("source.") for each in above)]
        return spec.replace_attributes(
            deps=[*spec.deps, *gates],
            freshness_policy=self.freshness,
            automation_condition=self.condition,
            kinds={"dbt", "postgres"} | ({node["config"]["materialized"]} if node else set()),
        )

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """Say in words what a test asks. It stops no run: whoever builds says for whom it failed."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=wording.asked(manifest["nodes"][unique_id])[0], blocking=False)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return what a model is, in words; its SQL stands in the repository."""
        return str(dbt_resource_props.get("description") or "")

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Group by domain: leads, telephony, ads, …"""
        return next(iter(dbt_resource_props.get("tags") or []), "") or str(dbt_resource_props["schema"])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str]:
        """Return who answers for the domain."""
        return [policy.owner_of(self.get_group_name(dbt_resource_props))]

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """Tag with the domain and the layer: stg, int, marts."""
        return {"domain": self.get_group_name(dbt_resource_props), "layer": str(dbt_resource_props["schema"])}


@cache
def manifest() -> Path:
    """Return the manifest of the project as it stands; it is built once for each state of the project."""
    return project.target() / "manifest.json"


def of(
    domain: str,
    name: str,
    *,
    says: str,
    freshness: dg.FreshnessPolicy = policy.FRESH_LEADS,
    condition: dg.AutomationCondition[Any] | None = None,
) -> dg.AssetsDefinition:
    """Return the assets of a domain: its models, each checked by its tests. `says`: what they are."""
    translator = Models(freshness=freshness, condition=condition, gates=policy.gates_of(domain))

    def made(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from transform.build(context)

    made.__doc__ = says
    return dbt_assets(
        manifest=manifest(), select=f"tag:{domain}", dagster_dbt_translator=translator, name=name,
        pool=policy.Pool.marts,
    )(made)  # fmt: skip


def refreshed(
    made: dg.AssetsDefinition, name: str, *, after: Sequence[dg.AssetsDefinition] = (), every: str, says: str
) -> dg.ScheduleDefinition:
    """Return the schedule that refreshes a domain's marts; the gates that it goes by are looked at before."""
    return policy.scheduled(policy.job_of(name, *after, made, says=says), every)


def sources() -> list[dg.AssetSpec]:
    """Return the operational tables that models read, as the project tells of them; what lands from outside is judged,
    and tells of itself."""
    names, found = Models(freshness=policy.FRESH_LEADS), json.loads(manifest().read_text())["sources"].values()
    keys = {names.get_asset_key(each): str(each["description"]) for each in found}
    return [
        dg.AssetSpec(key, description=says, group_name="sources", kinds={"postgres"}, owners=[policy.ENGINEERS])
        for key, says in keys.items()
        if key.path[0] != "raw"
    ]
