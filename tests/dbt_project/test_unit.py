"""The project's own unit tests: models on examples worked out by hand (KPI.md section 8), without their data."""

import asyncio
import json

from kpis import project
from orchestration import transform
from tests.pipeline import GOOD, Build


class TestUnitTests:
    async def test_models_make_of_each_example_what_was_worked_out_by_hand(self, build: Build) -> None:
        examples = json.loads((project.target() / "manifest.json").read_text())["unit_tests"].values()
        # dbt takes the types of what an example leaves out from the relations: empty ones will do.
        await build("--select", *sorted({f"+{each['model']}" for each in examples}), "--exclude-resource-type", "test")

        found = await asyncio.to_thread(lambda: list(transform.run(["test", "--select", "test_type:unit"])))

        failed = [f"{node.node_name}: {result.message}" for node, result in found if result.status not in GOOD]
        assert failed == []
        assert len(found) == len(examples) >= 4
