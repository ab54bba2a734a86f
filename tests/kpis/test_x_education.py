"""Six thousand real leads through import, pipeline and metrics, against figures counted straight from the file."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from cli.imports import read_mapping
from crm import clock, db
from ingestion.files import running
from kpis import query
from kpis.query import Query
from tests.conftest import NOW, Tenant
from tests.pipeline import Build

CONTACTED = {
    "interested in other courses", "not doing further education", "interested in full time mba", "already a student",
    "diploma holder (not eligible)", "graduation in progress", "opp hangup", "will revert after reading the email",
    "closed by horizzon", "want to take admission but has financial problems", "still thinking",
    "interested in next batch", "in confusion whether part time or dlp", "shall take in the next coming month",
    "lateral student", "recognition issue (dec approval)",
}  # fmt: skip
"""Tags that mean interested or not interested: somebody was spoken to."""
STAGES = ["lead", "contacted", "qualified", "proposal", "sale"]


@pytest.fixture
def facts(sample_data: Path) -> list[dict[str, str]]:
    with open(sample_data / "leads_x_education.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return [dict(zip(header, row if len(row) > 1 else next(csv.reader(row)), strict=True)) for row in rows]


def rank(row: dict[str, str]) -> int:
    """The funnel's rank of a lead: sold, or spoken to, or just there."""
    if row["Converted"] == "1":
        return 5
    return 2 if " ".join(row["Tags"].lower().split()) in CONTACTED else 1


async def test_funnel_and_conversion_are_those_of_the_file(
    build: Build, tenant: Tenant, sample_data: Path, facts: list[dict[str, str]]
) -> None:
    with open(sample_data / "leads_x_education.csv", "rb") as file:
        await running.import_file(
            tenant.system, file, "leads_x_education.csv", read_mapping("x_education"), now=lambda: NOW
        )
    await build()

    for dim, named in (("platform", platform), ("form", form)):
        reached: Counter[tuple[str, str]] = Counter()
        leads: Counter[str] = Counter()
        won: defaultdict[str, int] = defaultdict(int)
        for row in facts:
            leads[named(row)] += 1
            won[named(row)] += row["Converted"] == "1"
            for stage in STAGES[: rank(row)]:
                reached[named(row), stage] += 1

        answer = await db.run(
            tenant.sales_manager,
            lambda tx, dim=dim: query.ask(
                tx, Query(["funnel_reached", "conversion_rate", "speed_to_lead_s"], by=[dim]), now=clock.utc_now()
            ),
        )

        funnel = [row for row in answer.rows if "funnel_reached" in row]
        assert {(row[dim], row["stage"]): row["funnel_reached"] for row in funnel} == {
            (name, stage): reached[name, stage] for name in leads for stage in STAGES
        }
        rates = {row[dim]: row["conversion_rate"] for row in answer.rows if "conversion_rate" in row}
        assert rates == {name: pytest.approx(won[name] / count) for name, count in leads.items()}
        assert sum(won.values()) == 2409
        assert {row["speed_to_lead_s"] for row in answer.rows if "speed_to_lead_s" in row} == {None}


def platform(row: dict[str, str]) -> str:
    return row["Lead Source"].lower() or "unknown"


def form(row: dict[str, str]) -> str:
    return row["Lead Origin"]
