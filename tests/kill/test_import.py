"""`kill -9` in the middle of an import: run again, it goes on, and the numbers are those of a run that nobody hurt."""

import asyncio
import csv
import json
import subprocess
import time
from collections import Counter
from pathlib import Path

import httpx
import psycopg
import pytest

from crm import db
from crm.settings import settings
from tests.api.conftest import token_of
from tests.conftest import Tenant, make_tenant
from tests.kill.firm import SANTRAL, processes
from tests.kill.test_webhook_burst import Postgres, durable  # noqa: F401 - a fixture

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

ROWS = 16_000
PLAN = """
source: fair
fields: {external_id: Id, name: Name, phone: Phone, email: Mail}
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The arguments that name a file and its mapping: every tenth person comes twice, every hundredth row is bad."""
    mapping, file = tmp_path / "fair.yaml", tmp_path / "fair.csv"
    mapping.write_text(PLAN)
    with file.open("w", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["Id", "Name", "Phone", "Mail"])
        for n in range(ROWS):
            person = n - 1 if n % 10 == 9 else n
            lines.writerow([n, f"Ayşe {n}", "12" if n % 100 == 0 else f"+90532{person:07d}", f"a{person}@example.com"])
    return [str(file), "--mapping", str(mapping), "--json"]


WHOLE = {"read": ROWS, "created": ROWS * 89 // 100, "merged": ROWS // 10, "unchanged": 0, "rejected": ROWS // 100}


def start(files: list[str]) -> subprocess.Popen[str]:
    command = ["setpriv", "--pdeathsig", "KILL", "--", str(SANTRAL), "import", "leads", *files]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    return await asyncio.to_thread(process.communicate, None, 120)


async def in_the_middle(tenant: Tenant) -> None:
    """Wait until some chunks are stored."""
    async with asyncio.timeout(90):
        while True:
            async with db.transaction(tenant.system) as tx:
                if (await tx.fetchval("select read from crm.import_run") or 0) > 2000:
                    return
            await asyncio.sleep(0.01)


async def hold_to_account(tenant: Tenant, told: dict[str, int], report: str) -> None:
    """Nothing is lost and nothing doubled, by what was told, the rows, the events, the run and the report."""
    assert told == WHOLE
    async with db.transaction(tenant.system) as tx:
        found = Counter(row[0] for row in await tx.fetch("select external_id from crm.lead"))
        events = await tx.fetchval("select count(*) from crm.event_log where event_type = 'lead.created'")
        people = await tx.fetchval("select count(*) from crm.contact")
        runs = await tx.fetch("select status, read from crm.import_run")
    assert found == Counter(str(n) for n in range(ROWS) if n % 100)
    assert events == len(found)
    assert people == WHOLE["created"]
    assert [(row["status"], row["read"]) for row in runs] == [("done", ROWS)]
    assert len(report.splitlines()) == 1 + ROWS // 100


def read(answer: str) -> tuple[dict[str, int], str]:
    """Return the command's numbers and its report."""
    told = json.loads(answer)
    return told, Path(told.pop("report")).read_text(encoding="utf-8-sig")


async def test_of_the_command(tenant, files):
    process = start(files)
    await in_the_middle(tenant)
    process.kill()
    await ended(process)
    async with db.transaction(tenant.system) as tx:
        so_far = await tx.fetchrow("select read, status from crm.import_run")
        stored = await tx.fetchval("select count(*) from crm.lead")
    assert so_far["status"] == "running"
    assert 0 < so_far["read"] < ROWS, "the kill came into the middle"
    assert stored == so_far["read"] // 100 * 99, "leads and counts are of the same chunks"

    answer, _ = await ended(start(files))

    await hold_to_account(tenant, *read(answer))


async def test_of_postgres(durable: Postgres, files):  # noqa: F811
    tenant = await make_tenant("acme")
    process = start(files)
    await in_the_middle(tenant)
    durable.kill()
    answer, complaint = await ended(process)
    assert process.returncode == 1
    assert answer == ""
    assert complaint.startswith("santral: The database went away."), complaint
    durable.start()
    await asyncio.to_thread(_outlast_recovery)

    answer, _ = await ended(start(files))

    await hold_to_account(tenant, *read(answer))


async def test_of_the_worker_and_of_the_api(tenant, files):
    sent = {"file": ("fair.csv", Path(files[0]).read_bytes())}
    with processes() as firm:
        await firm.ready()
        address, headers = (
            f"http://127.0.0.1:{firm.port}",
            {"authorization": f"Bearer {token_of(tenant.sales_manager)}"},
        )
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
            taken = await client.post("/import/leads", files=sent, data={"mapping": PLAN})
            assert taken.status_code == 202, taken.text
            await in_the_middle(tenant)
            for each in ("worker", "api"):
                firm.kill(each)
                firm.start(each)
            await firm.ready()
            run = (await client.get(taken.headers["Location"])).json()
            assert run["status"] == "running", "the kill came into the middle"
            async with asyncio.timeout(120):
                while run["status"] != "done":
                    await asyncio.sleep(0.5)
                    run = (await client.get(taken.headers["Location"])).json()
            report = (await client.get(f"{taken.headers['Location']}/report")).text

    await hold_to_account(tenant, {name: run[name] for name in WHOLE}, report)


def _outlast_recovery() -> None:
    url = settings().owner_url().set(drivername="postgresql").render_as_string(hide_password=False)
    for _ in range(300):
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)


async def test_two_commands_at_once_do_it_once(tenant, files):
    first, second = start(files), start(files)

    answers = [json.loads((await ended(each))[0]) for each in (first, second)]

    assert sorted(each["created"] for each in answers) == [0, WHOLE["created"]]
    assert sorted(each["unchanged"] for each in answers) == [0, ROWS - ROWS // 100]
