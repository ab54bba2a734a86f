"""Importing files: numbers that add up, people found again, and nothing lost when it is cut off."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import asdict

import asyncpg
import pytest

from crm.imports import chunks, mapping, reports, rows, runs
from crm.imports.rehearsal import Rehearsal
from crm.settings import settings
from ingestion.files import running
from tests.conftest import NOW
from tests.ingestion.files.conftest import HEADER, PLAN, as_csv, row


def numbers(run) -> tuple[int, ...]:
    return tuple(asdict(run.counts).values())


class TestImport:
    async def test_counts_add_up(self, load, ask):
        run = await load([row(1), row(2), row(3, Phone=row(1)[2]), row(4, Phone="12"), row(2)])

        assert numbers(run) == (5, 2, 1, 1, 1)
        assert await ask("select count(*) from crm.lead") == 3
        assert await ask("select count(*) from crm.contact") == 2
        assert await ask("select status from crm.import_run") == "done"

    async def test_the_same_file_again_adds_nothing(self, load, ask):
        await load([row(n) for n in range(10)])
        before = await ask("select count(*) from crm.event_log where aggregate_type = 'lead'")

        assert numbers(await load([row(n) for n in range(10)])) == (10, 0, 0, 10, 0)
        assert await ask("select count(*) from crm.event_log where aggregate_type = 'lead'") == before

    async def test_rows_without_an_outside_id_are_recognised_too(self, load):
        await load([row(1, Id=""), row(2, Id="")])

        assert numbers(await load([row(2, Id=""), row(1, Id=""), row(3, Id="")])) == (3, 1, 0, 2, 0)

    async def test_new_content_is_taken_over(self, load, ask):
        await load([row(1, City="Bursa")])

        run = await load([row(1, City="İzmir", State="sold", Phone="+905329999999", No_mail="yes")])

        assert numbers(run) == (1, 0, 1, 0, 0)
        assert await ask("select attributes->>'City' from crm.lead") == "İzmir"
        assert await ask("select status from crm.lead") == "won"
        assert await ask("select opted_out from crm.contact") == ["email"]
        assert await ask("select count(*) from crm.contact_point") == 3
        happened = "select array_agg(event_type order by id) from crm.event_log where aggregate_type = 'lead'"
        assert await ask(happened) == ["lead.created", "lead.updated", "lead.status_changed"]
        assert numbers(await load([row(1, City="İzmir", State="sold", Phone="+905329999999", No_mail="yes")]))[3] == 1

    async def test_a_file_takes_no_worked_lead_back(self, load, ask):
        await load([row(1, State="gone")])

        await load([row(1, State="")])

        assert await ask("select status from crm.lead") == "lost"

    async def test_contradicting_rows_are_taken_in_order(self, load, ask):
        run = await load([row(1, City="A"), row(1, City="B"), row(1, City="A"), row(1, City="A"), row(2)])

        assert numbers(run) == (5, 2, 2, 1, 0)
        assert await ask("select attributes->>'City' from crm.lead where external_id = '1'") == "A"

    async def test_what_the_database_cannot_hold_is_rejected_alone(self, load, ask, monkeypatch):
        monkeypatch.setitem(rows.LONGEST, "name", 10**6)
        unindexable = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(9000))

        run = await load([row(n, Name=unindexable if n == 5 else "Ayşe") for n in range(9)])

        assert numbers(run) == (9, 8, 0, 0, 1)
        assert await ask("select row_no from crm.import_rejection") == 5

    async def test_unmapped_states_are_noted(self, load, ask):
        run = await load([row(1, State="perhaps"), row(2, State="Perhaps"), row(3, State="call a@example.com")])

        assert run.unmapped == {"State": {"perhaps": 1, "Perhaps": 1, "call •••": 1}}
        assert json.loads(await ask("select notes::text from crm.import_run"))["unmapped"] == run.unmapped
        assert await ask("select count(*) from crm.lead where status = 'new'") == 3

    async def test_a_person_leaves_an_audit_trail(self, tenant, plan, ask):
        await running.import_file(tenant.sales_manager, as_csv([row(1)]), "f", plan, now=lambda: NOW)

        assert await ask("select array_agg(action order by id) from crm.audit_log") == [
            "import.started", "lead.import", "import.advanced", "import.finished",
        ]  # fmt: skip


class TestReport:
    async def test_a_mended_report_is_imported(self, load, tenant, plan, ask):
        bad = [row(1, Phone="12", City="=1+1"), row(2), [*row(3), "too", "many"], row(4, Mail="-")]
        run = await load(bad)

        told = [each async for each in reports.rejected(tenant.system, run.id)]
        header = reports.header(run.columns, plan)
        lines = [reports.cells_of(each, run.columns, plan) for each in told]
        assert header == [*HEADER, "error"]
        assert [line[header.index("error")] for line in lines] == [
            "Phone: a number with its country code, as in +90 5xx xxx xx xx",
            "9 columns where the header has 7",
            "Mail: not an e-mail address, as in name@example.com",
        ]
        assert lines[0][header.index("City")] == "'=1+1"
        lines[0][2], lines[1], lines[2][3] = "0532 000 00 01", lines[1][:8], "d@example.com"

        again = await load(as_csv(lines, header))

        assert numbers(again) == (3, 3, 0, 0, 0)
        assert await ask("select attributes->>'City' from crm.lead where external_id = '1'") == "=1+1"

    async def test_is_sealed_at_rest(self, load, ask):
        await load([row(1, Phone="0532 12", Mail="ayse@example.com")])

        assert await ask("select strpos(encode(sealed, 'escape'), 'ayse') from crm.import_rejection") == 0
        assert "ayse" not in await ask("select errors::text from crm.import_rejection")


class TestDryRun:
    async def test_gives_the_same_numbers_and_writes_nothing(self, tenant, load, plan, monkeypatch, ask):
        monkeypatch.setattr(chunks, "SIZE", 3)
        await load([row(1), row(2)])
        file = [
            row(1), row(2, City="other"), row(3), row(4, Phone=row(3)[2]), row(5, Mail=row(4)[3]), row(6, Phone="12"),
            row(7, Phone=row(1)[2]), row(3), row(3, City="B"), row(8), row(9, Mail=row(8)[3]),
            row(10, Id=""), row(10, Id=""),
        ]  # fmt: skip
        before = await _everything(tenant)
        take = Rehearsal.take

        async def slow(*args):
            await asyncio.sleep(0.1)  # time enough to look at the next chunk too early
            return await take(*args)

        monkeypatch.setattr(Rehearsal, "take", slow)

        rehearsed, rejections = await running.rehearse(tenant.system, as_csv(file), plan, now=lambda: NOW)

        assert await _everything(tenant) == before
        assert len(rejections) == 1
        assert numbers(await load(file)) == numbers(rehearsed)


async def _everything(tenant) -> dict[str, int]:
    """Return how many rows each of our tables holds, keys included."""
    found = {}
    for url in (settings().owner_url(), settings().keys_url()):
        connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
        for schema, name in await connection.fetch(
            "select schemaname, tablename from pg_tables where schemaname in ('crm', 'keys', 'jobs')"
        ):
            # The database of keys is shared with the tests beside this one.
            which = f" where tenant_id = '{tenant.id}'" if schema == "keys" else ""
            found[f"{schema}.{name}"] = await connection.fetchval(f"select count(*) from {schema}.{name}{which}")
        await connection.close()
    return found


class TestResume:
    async def test_goes_on_where_the_last_chunk_ended(self, load, monkeypatch, ask):
        monkeypatch.setattr(chunks, "SIZE", 10)
        file = [row(n, Phone="12") if n % 7 == 0 else row(n) for n in range(95)]

        def cut(run) -> None:
            if run.counts.read >= 40:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await load(file, progress=cut)
        so_far = await ask("select read from crm.import_run")
        assert 40 <= so_far < 95
        assert await ask("select count(*) from crm.lead") == so_far - await ask("select rejected from crm.import_run")
        seen: list[int] = []
        run = await load(file, progress=lambda run: seen.append(run.counts.read))

        assert seen[0] == so_far
        assert numbers(run) == (95, 81, 0, 0, 14)
        assert await ask("select count(*) from crm.lead") == 81
        assert await ask("select count(*) from crm.import_run") == 1
        assert await ask("select count(*) from crm.import_rejection") == 14

    async def test_another_mapping_is_another_run(self, load, ask):
        with pytest.raises(KeyboardInterrupt):
            await load([row(1)], progress=_cut)

        await load([row(1)], mapping.parse(PLAN + "tags: [{value: fair}]"))

        assert await ask("select count(*) from crm.import_run") == 2


def _cut(run) -> None:
    raise KeyboardInterrupt


class TestTwoAtOnce:
    async def test_the_second_waits_and_finds_everything_there(self, load):
        both = await asyncio.gather(load([row(n) for n in range(300)]), load([row(n) for n in range(300)]))

        assert sorted(map(numbers, both)) == [(300, 0, 0, 300, 0), (300, 300, 0, 0, 0)]

    async def test_or_says_so(self, load, tenant):
        digest = runs.file_digest(tenant.id, running.reading.digest(as_csv([row(1)])))

        async with runs.alone(tenant.id, digest, wait=False):
            with pytest.raises(running.Busy):
                await load([row(1)], wait=False)

    async def test_a_chunk_is_never_stored_twice(self, load, tenant, plan, monkeypatch):
        monkeypatch.setattr(runs, "alone", _everyone)
        monkeypatch.setattr(chunks, "SIZE", 10)
        file = [row(n) for n in range(50)]
        with pytest.raises(KeyboardInterrupt):
            await load(file, progress=_cut)

        both = await asyncio.gather(load(file), load(file), return_exceptions=True)

        assert any(isinstance(each, runs.Overtaken) for each in both)
        assert numbers(await load(file)) in [(50, 50, 0, 0, 0), (50, 0, 0, 50, 0)]


@asynccontextmanager
async def _everyone(*args, **how):
    yield True
