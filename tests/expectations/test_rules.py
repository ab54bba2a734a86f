"""The registry of rules: whole, in both languages, and nothing asked twice by two tools."""

import json
from pathlib import Path

from expectations import rules
from orchestration import marts

OF_DBT = {
    "not_null": rules.Kind.present,
    "accepted_values": rules.Kind.one_of,
    "accepted_range": rules.Kind.between,
    "between": rules.Kind.between,
}


def asked_by_dbt(manifest: Path) -> set[tuple[str, str, str]]:
    """What dbt asks of the tables at the border, as (asset, column, kind)."""
    nodes = json.loads(manifest.read_text())
    found = set()
    for node in nodes["nodes"].values():
        test = node.get("test_metadata")
        for above in node.get("depends_on", {}).get("nodes", []) if test else []:
            if source := nodes["sources"].get(above):
                key = (source.get("meta") or {}).get("dagster", {}).get("asset_key") or [
                    source["schema"],
                    source["name"],
                ]
                found.add(("/".join(key), node.get("column_name") or "", OF_DBT.get(test["name"], test["name"])))
    return found


class TestRegistry:
    def test_ids_are_unique_and_sentences_are_there_in_both_languages(self) -> None:
        every = [rule for suite in rules.SUITES for rule in suite.rules]

        assert len({rule.id for rule in every}) == len(every)
        assert all(rule.says and rule.tr and rule.says != rule.tr for rule in every)

    def test_nothing_is_asked_twice(self, parsed: Path) -> None:
        ours = [(suite.asset, rule.column, rule.kind) for suite in rules.SUITES for rule in suite.rules]

        assert len(set(ours)) == len(ours)
        assert set(ours) & asked_by_dbt(marts.manifest()) == set()

    def test_the_comparison_can_find_something(self, tmp_path: Path) -> None:
        double = {
            "nodes": {
                "test.x": {
                    "test_metadata": {"name": "not_null"}, "column_name": "currency",
                    "depends_on": {"nodes": ["source.raw"]},
                }
            },
            "sources": {
                "source.raw": {"schema": "raw", "name": "r", "meta": {"dagster": {"asset_key": ["raw", "ad_reports"]}}}
            },
        }  # fmt: skip
        (tmp_path / "manifest.json").write_text(json.dumps(double))

        assert asked_by_dbt(tmp_path / "manifest.json") == {("raw/ad_reports", "currency", rules.Kind.present)}
