"""Two weeks of a bank's real calls, counted once by the import and once straight from the file."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cli.imports import read_mapping
from crm import db
from crm.imports.parts import FileMapping
from crm.imports.runs import Run
from crm.queues import settings, statistics
from crm.queues.figures import Counts
from ingestion.files import running
from tests.conftest import NOW


def seconds(clock: str) -> int:
    hours, minutes, rest = map(int, clock.split(":"))
    return hours * 3600 + minutes * 60 + rest


def is_visit(row: dict[str, str]) -> bool:
    return row["outcome"] == "AGENT" or (row["outcome"] == "HANG" and row["q_start"] != "0:00:00")


def day_of(row: dict[str, str]) -> date:
    """The day on which the caller began to wait, or was served at once: some calls cross midnight."""
    day = datetime.strptime(row["date"], "%y%m%d").date()
    entry, start = seconds(row["vru_entry"]), seconds(row["q_start"])
    if row["q_start"] == "0:00:00":
        is_told = row["ser_start"] != "0:00:00"
        start = seconds(row["ser_start"]) - int(row["q_time"]) if is_told else entry + int(row["vru_time"])
    if start < entry - 12 * 3600:
        start += 24 * 3600
    return day + timedelta(days=start // (24 * 3600))


def counted(rows: Iterable[dict[str, str]]) -> Counts:
    """Count what the definitions count, in this test's own words."""
    visits = [row for row in rows if is_visit(row)]
    served = [row for row in visits if row["outcome"] == "AGENT"]
    gone = [row for row in visits if row["outcome"] == "HANG"]
    return Counts(
        offered=len(visits),
        answered=len(served),
        in_sl=sum(int(row["q_time"]) <= 20 for row in served),
        abandoned=len(gone),
        short_abandons=sum(int(row["q_time"]) <= 5 for row in gone),
        abandoned_in_sl=sum(int(row["q_time"]) <= 20 for row in gone),
        answered_wait_s=sum(int(row["q_time"]) for row in served),
        abandoned_wait_s=sum(int(row["q_time"]) for row in gone if int(row["q_time"]) > 5),
        talk_s=sum(int(row["ser_time"]) for row in served),
    )


@pytest.fixture(scope="module")
def file(sample_data: Path) -> Path:
    return sample_data / "calls_bank_1999-02-01_14.tsv"


@pytest.fixture(scope="module")
def facts(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="latin-1", newline="") as text:
        return list(csv.DictReader(text, delimiter="\t"))


async def load(tenant, file: Path, plan: FileMapping | None = None, **how) -> Run:
    with file.open("rb") as content:
        return await running.import_file(
            tenant.system, content, file.name, plan or read_mapping("bank_calls"), now=lambda: NOW, **how
        )


async def of_days(tenant, **by: bool) -> dict[tuple[date | None, str | None], Counts]:
    async with db.transaction(tenant.system) as tx:
        found = await statistics.of_days(tx, date(1999, 1, 1), date(1999, 3, 31), **by)
    return {(each.day, each.queue): each.counts for each in found}


async def ask(tenant, question: str):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(question)


async def test_every_figure_is_that_of_the_file(tenant, file, facts):
    groups: dict[tuple[date, str], list[dict[str, str]]] = defaultdict(list)
    for row in filter(is_visit, facts):
        groups[day_of(row), row["type"].lower()].append(row)

    run = await load(tenant, file)

    assert tuple(asdict(run.counts).values()) == (17456, 17456 - 143, 0, 143, 0)
    [whole] = (await of_days(tenant, by_day=False, by_queue=False)).values()
    assert whole == counted(facts)
    assert (whole.offered, whole.answered, whole.abandoned, whole.short_abandons) == (16290, 14405, 1885, 161)
    assert (round(100 * whole.service_level, 2), round(100 * whole.abandonment_rate, 2)) == (56.81, 10.69)
    assert (round(whole.asa_s, 2), round(whole.mean_service_s, 2)) == (34.41, 166.86)
    assert await of_days(tenant) == {which: counted(rows) for which, rows in groups.items()}
    by_queue = {queue: counts for (_, queue), counts in (await of_days(tenant, by_day=False)).items()}
    assert by_queue == {
        queue: counted(row for row in facts if row["type"].lower() == queue)
        for queue in ("ps", "pe", "in", "ne", "nw", "tt")
    }
    await require_calls_as_told(tenant, facts)
    await require_nobody_of_ours(tenant, facts)


async def require_calls_as_told(tenant, facts) -> None:
    """A hang-up in self-service is a call and no stay; agents are names of another system, people are hashes."""
    kept = [row for row in facts if row["outcome"] != "PHANTOM"]
    outcomes = await ask(tenant, "select outcome, count(*) from crm.call group by 1")
    assert dict(outcomes) == {"answered": 14405, "abandoned": 1885, "cancelled": 1023}
    served = await ask(
        tenant,
        "select a.name, count(*) from crm.historical_call h join crm.outside_agent a on a.id = h.outside_agent_id"
        " group by 1",
    )
    assert dict(served) == Counter(row["server"] for row in kept if row["server"] != "NO_SERVER")
    [people] = await ask(tenant, "select count(distinct caller_index), count(caller_index) from crm.historical_call")
    known = [row["customer_id"] for row in kept if row["customer_id"] != "0"]
    assert tuple(people) == (len(set(known)), len(known))


async def require_nobody_of_ours(tenant, facts) -> None:
    """They are history: nobody here had them, nothing is open, and their queues take no live call."""
    assert await ask(
        tenant,
        "select from crm.call where source <> 'historical' or ended_at is null or agent_user_id is not null",
    ) == []  # fmt: skip
    async with db.transaction(tenant.system) as tx:
        then = await settings.in_force(tx, at=datetime(1999, 2, 10, tzinfo=UTC))
        live = await settings.in_force(tx, at=NOW)
    assert {"ps", "nw"} <= then.keys()
    assert live == {}


async def test_again_changes_what_is_told_otherwise_alone(tenant, file, tmp_path, facts):
    told = "select event_type, count(*) from crm.event_log where event_type like 'historical_call.%' group by 1"
    changed = tmp_path / "changed.tsv"
    lines = file.read_text(encoding="latin-1").splitlines()
    lines[1] = lines[1].replace("\t166\t", "\t170\t")
    changed.write_text("\n".join(lines), encoding="latin-1")

    runs = [await load(tenant, each) for each in (file, file, changed)]

    assert [tuple(asdict(run.counts).values())[1:] for run in runs] == [
        (17456 - 143, 0, 143, 0), (0, 0, 17456, 0), (0, 1, 17455, 0),
    ]  # fmt: skip
    [whole] = (await of_days(tenant, by_day=False, by_queue=False)).values()
    assert whole.talk_s == counted(facts).talk_s + 4
    assert dict(await ask(tenant, told)) == {"historical_call.imported": 17313, "historical_call.corrected": 1}


async def test_a_dry_run_says_the_same_and_writes_nothing(tenant, file):
    with file.open("rb") as content:
        rehearsal, rejected = await running.rehearse(tenant.system, content, read_mapping("bank_calls"))

    assert tuple(asdict(rehearsal.counts).values()) == (17456, 17456 - 143, 0, 143, 0)
    assert rejected == []
    assert await ask(tenant, "select from crm.call") == []
