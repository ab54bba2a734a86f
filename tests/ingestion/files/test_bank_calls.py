"""Two weeks of a bank's real calls, counted once by the import and once straight from the file."""

import csv
from collections import defaultdict
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


class TestFigures:
    async def test_are_those_of_the_file(self, tenant, file, facts):
        run = await load(tenant, file)

        assert tuple(asdict(run.counts).values()) == (17456, 17456 - 143, 0, 143, 0)
        [whole] = (await of_days(tenant, by_day=False, by_queue=False)).values()
        assert whole == counted(facts)
        assert (whole.offered, whole.answered, whole.abandoned, whole.short_abandons) == (16290, 14405, 1885, 161)
        shares = round(100 * whole.service_level, 2), round(100 * whole.abandonment_rate, 2)
        assert shares == (56.81, 10.69)
        assert (round(whole.asa_s, 2), round(whole.mean_service_s, 2)) == (34.41, 166.86)

    async def test_of_every_day_and_type_are_those_of_the_file(self, tenant, file, facts):
        groups: dict[tuple[date, str], list[dict[str, str]]] = defaultdict(list)
        for row in filter(is_visit, facts):
            groups[day_of(row), row["type"].lower()].append(row)

        await load(tenant, file)

        assert await of_days(tenant) == {which: counted(rows) for which, rows in groups.items()}
        by_queue = await of_days(tenant, by_day=False)
        assert {queue for _, queue in by_queue} == {"ps", "pe", "in", "ne", "nw", "tt"}
        for (_, queue), counts in by_queue.items():
            assert counts == counted(row for row in facts if row["type"].lower() == queue)

    async def test_a_hang_up_in_self_service_is_a_call_and_no_stay(self, tenant, file):
        await load(tenant, file)

        found = await ask(tenant, "select outcome, count(*) from crm.call group by 1")
        assert dict(found) == {"answered": 14405, "abandoned": 1885, "cancelled": 1023}
        assert await ask(tenant, "select from crm.call where source <> 'historical' or ended_at is null") == []


class TestAgents:
    async def test_are_names_of_another_system_and_nobody_who_works_here(self, tenant, file, facts):
        await load(tenant, file)

        names = {row["name"] for row in await ask(tenant, "select name from crm.outside_agent")}
        assert names == {row["server"] for row in facts if row["outcome"] != "PHANTOM"} - {"NO_SERVER"}
        assert await ask(tenant, "select from crm.call where agent_user_id is not null") == []
        [served] = await ask(
            tenant,
            "select count(*) from crm.historical_call h join crm.outside_agent a on a.id = h.outside_agent_id"
            " where a.name = 'DORIT'",
        )
        assert served["count"] == sum(row["server"] == "DORIT" for row in facts if row["outcome"] != "PHANTOM")


class TestPeople:
    async def test_are_known_again_by_a_hash_alone(self, tenant, file, facts):
        await load(tenant, file)

        [found] = await ask(tenant, "select count(distinct caller_index), count(caller_index) from crm.historical_call")
        ids = [row["customer_id"] for row in facts if row["outcome"] != "PHANTOM" and row["customer_id"] != "0"]
        assert tuple(found) == (len(set(ids)), len(ids))


class TestAgain:
    async def test_the_same_file_changes_nothing(self, tenant, file):
        await load(tenant, file)
        before = await ask(tenant, "select max(id) from crm.event_log where event_type like 'historical_call.%'")

        run = await load(tenant, file)

        assert tuple(asdict(run.counts).values()) == (17456, 0, 0, 17456, 0)
        assert (
            await ask(tenant, "select max(id) from crm.event_log where event_type like 'historical_call.%'") == before
        )
        [calls] = await ask(tenant, "select count(*) from crm.call")
        assert calls["count"] == 17456 - 143

    async def test_a_call_told_otherwise_is_corrected_with_its_stay(self, tenant, file, tmp_path, facts):
        await load(tenant, file)
        changed = tmp_path / "changed.tsv"
        lines = file.read_text(encoding="latin-1").splitlines()
        lines[1] = lines[1].replace("\t166\t", "\t170\t")
        changed.write_text("\n".join(lines), encoding="latin-1")

        run = await load(tenant, changed)

        assert tuple(asdict(run.counts).values()) == (17456, 0, 1, 17455, 0)
        [whole] = (await of_days(tenant, by_day=False, by_queue=False)).values()
        assert whole.talk_s == counted(facts).talk_s + 4
        [told] = await ask(tenant, "select count(*) from crm.event_log where event_type = 'historical_call.corrected'")
        assert told["count"] == 1

    async def test_a_dry_run_says_the_same_and_writes_nothing(self, tenant, file):
        with file.open("rb") as content:
            rehearsal, rejected = await running.rehearse(tenant.system, content, read_mapping("bank_calls"))

        assert tuple(asdict(rehearsal.counts).values()) == (17456, 17456 - 143, 0, 143, 0)
        assert rejected == []
        assert await ask(tenant, "select from crm.call") == []


class TestQueues:
    async def test_are_made_retired_so_that_no_live_call_comes_to_them(self, tenant, file):
        await load(tenant, file)

        async with db.transaction(tenant.system) as tx:
            then = await settings.in_force(tx, at=datetime(1999, 2, 10, tzinfo=UTC))
            live = await settings.in_force(tx, at=NOW)
        assert {"ps", "nw"} <= then.keys()
        assert live == {}
