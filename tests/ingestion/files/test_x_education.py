"""Six thousand real leads, counted once by the import and once straight from the file."""

import csv
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from cli.imports import read_mapping
from crm import db
from crm.imports import mapping as mappings
from crm.imports import reports
from ingestion.files import running
from tests.conftest import NOW

# What the data's description says a tag means, in this test's own words.
NO_ANSWER = {"ringing", "switched off", "busy"}
WRONG_NUMBER = {"invalid number", "wrong number given", "number not provided"}
NOT_INTERESTED = {
    "interested in other courses", "not doing further education", "interested in full time mba", "already a student",
    "diploma holder (not eligible)", "graduation in progress", "opp hangup",
}  # fmt: skip
LOST = {"lost to eins", "in touch with eins", "lost to others"}


def status_of(row: dict[str, str]) -> str:
    if row["Converted"] == "1":
        return "won"
    tag = " ".join(row["Tags"].lower().split())
    for status, tags in (("no_answer", NO_ANSWER), ("wrong_number", WRONG_NUMBER), ("not_interested", NOT_INTERESTED)):
        if tag in tags:
            return status
    return "lost" if tag in LOST else "interested" if tag else "new"


@pytest.fixture(scope="module")
def file(sample_data: Path) -> Path:
    return sample_data / "leads_x_education.csv"


@pytest.fixture(scope="module")
def facts(file: Path) -> list[dict[str, str]]:
    """The rows as they are meant, the wrapped ones unwrapped."""
    with file.open(encoding="utf-8", newline="") as text:
        header, *rows = csv.reader(text)
    rows = [next(csv.reader(row)) if len(row) == 1 else row for row in rows]
    assert {len(row) for row in rows} == {37}
    return [dict(zip(header, row, strict=True)) for row in rows]


async def counts(tenant, question: str) -> Counter[str]:
    async with db.transaction(tenant.system) as tx:
        return Counter(dict(await tx.fetch(question)))


async def load(tenant, file: Path, mapping: mappings.Mapping):
    with file.open("rb") as content:
        return await running.import_file(tenant.system, content, file.name, mapping, now=lambda: NOW)


async def test_every_count_is_that_of_the_file(tenant, file, facts):
    plan = read_mapping("x_education")

    run = await load(tenant, file, plan)

    assert tuple(asdict(run.counts).values()) == (6000, 6000, 0, 0, 0)
    assert run.unmapped == {}
    by_status = await counts(tenant, "select status, count(*) from crm.lead group by 1")
    assert by_status == Counter(map(status_of, facts))
    assert by_status["won"] == 2409
    assert await counts(tenant, "select platform, count(*) from crm.lead group by 1") == Counter(
        row["Lead Source"].lower() or "unknown" for row in facts
    )
    assert await counts(tenant, "select form, count(*) from crm.lead group by 1") == Counter(
        row["Lead Origin"] for row in facts
    )
    opted_out = await counts(tenant, "select unnest(opted_out), count(*) from crm.contact group by 1")
    assert opted_out == {
        "email": sum(row["Do Not Email"] == "Yes" for row in facts),
        "call": sum(row["Do Not Call"] == "Yes" for row in facts),
    }
    assert opted_out == await counts(
        tenant, "select channel, count(*) from crm.consent where status = 'denied' group by 1"
    )
    assert await counts(
        tenant, "select loss_reason, count(*) from crm.lead where loss_reason is not null group by 1"
    ) == {"competitor": by_status["lost"]}
    async with db.transaction(tenant.system) as tx:
        ids = {row[0] for row in await tx.fetch("select external_id from crm.lead")}
        assert await tx.fetchval("select bool_or(acquired_at_known) from crm.lead") is False
        cities = await tx.fetchval("select count(*) from crm.lead where attributes->>'city' = 'Mumbai'")
    assert ids == {row["Prospect ID"] for row in facts}
    assert cities == sum(row["City"] == "Mumbai" for row in facts)

    again = await load(tenant, file, plan)

    assert tuple(asdict(again.counts).values()) == (6000, 0, 0, 6000, 0)
    assert (await counts(tenant, "select event_type, count(*) from crm.event_log group by 1"))["lead.created"] == 6000


async def test_wrapped_rows_are_reported_without_the_option(tenant, file):
    plan = read_mapping("x_education").model_copy(update={"unwrap_quoted_rows": False})

    run = await load(tenant, file, plan)

    assert tuple(asdict(run.counts).values()) == (6000, 5778, 0, 0, 222)
    told = [each async for each in reports.rejected(tenant.system, run.id)]
    assert len(told) == 222
    assert all("wrapped in quotes" in each.faults["row"] and len(each.cells) == 1 for each in told)
