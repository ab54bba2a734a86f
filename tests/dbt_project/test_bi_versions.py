"""What BI tools were promised: a column that goes or becomes another is a new major version, one that comes a minor."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__)
CONTRACTS = HERE.parents[2] / "dbt_project/models/bi/_bi.yml"
LOG = HERE.with_name("bi_versions.txt").read_text().splitlines()
"""Everything that ever came (+) or went (-), one line each: view, version, sign, column, type. Lines are added, never
changed: whoever changes one breaks a promise, and somebody reads it here. A column of another type goes and comes."""

Contract = tuple[str, dict[str, str]]
"""A version, and the type of each column."""


def replayed(log: Sequence[str]) -> dict[str, Contract]:
    """Return the contract of each view that a log leads to.

    :raises AssertionError: when a version is too small for what it changes.
    """
    found: dict[str, Contract] = {}
    for (view, version), lines in groupby(log, key=lambda line: line.split(" ")[:2]):
        before, columns = found.get(view, ("0.0.0", {}))
        changes = [line.split(" ", 4)[2:] for line in lines]
        gone = {column for sign, column, _ in changes if sign == "-"}
        parts = 1 if gone else 2
        is_next = numbers(version)[:parts] > numbers(before)[:parts] and gone <= columns.keys()
        assert is_next, f"{view} {version} is too little after {before}"
        stays = {column: kind for column, kind in columns.items() if column not in gone}
        found[view] = version, stays | {column: kind for sign, column, kind in changes if sign == "+"}
    return {view: contract for view, contract in found.items() if contract[1]}


def numbers(version: str) -> tuple[int, ...]:
    """Return the parts of a version, as they are compared."""
    return tuple(map(int, version.split(".")))


def promised() -> dict[str, Contract]:
    """Return the contract of each view as the project has it."""
    return {
        model["name"]: (model["config"]["meta"]["version"], {one["name"]: one["data_type"] for one in model["columns"]})
        for model in yaml.safe_load(CONTRACTS.read_text())["models"]
    }


def test_every_change_of_a_contract_has_its_version() -> None:
    assert promised() == replayed(LOG), f"add what changed to {HERE.with_name('bi_versions.txt').name}"


class TestReplayed:
    FIRST = ("sale 1.0.0 + tenant_id uuid", "sale 1.0.0 + amount text")

    @pytest.mark.parametrize(("then", "wanted"), [
        (["sale 1.1.0 + day date"], ("1.1.0", {"tenant_id": "uuid", "amount": "text", "day": "date"})),
        (["sale 2.0.0 - amount text"], ("2.0.0", {"tenant_id": "uuid"})),
        (["sale 2.0.0 - amount text", "sale 2.0.0 - tenant_id uuid"], None),
        (["sale 2.0.0 - amount text", "sale 2.0.0 + amount int"], ("2.0.0", {"tenant_id": "uuid", "amount": "int"})),
    ])  # fmt: skip
    def test_leads_to_the_contract(self, then: list[str], wanted: Contract | None) -> None:
        assert replayed([*self.FIRST, *then]).get("sale") == wanted

    @pytest.mark.parametrize("then", ["sale 1.1.0 - amount text", "sale 1.0.0 - amount text", "sale 1.0.1 + day date"])
    def test_finds_a_version_that_is_too_small(self, then: str) -> None:
        with pytest.raises(AssertionError, match="too little"):
            replayed([*self.FIRST, then])
