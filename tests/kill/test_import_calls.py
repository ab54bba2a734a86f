"""`kill -9` in the middle of an import of calls: run again, it goes on, and nothing is lost, doubled or half told."""

import csv
import json
import subprocess
from pathlib import Path

import pytest

from crm import db
from tests.conftest import Tenant
from tests.kill.firm import SANTRAL
from tests.kill.test_import import ended, in_the_middle

pytestmark = pytest.mark.xdist_group("kill")  # one at a time: each runs several processes

ROWS = 30_000
PLAN = """
kind: calls
source: old_exchange
fields:
  external_id: Id
  queue: Queue
  agent: Agent
  began_at: Began
  enqueued_at: Queued
  wait_s: Wait
  talk_s: Talk
ending: {column: End, values: {agent: served, gone: hung_up, test: ignored}}
"""
HEADER = ["Id", "Queue", "Agent", "Began", "Queued", "Wait", "Talk", "End"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The arguments that name a file and its mapping: every tenth caller gives up, every hundredth row is bad."""
    mapping, file = tmp_path / "calls.yaml", tmp_path / "calls.csv"
    mapping.write_text(PLAN)
    with file.open("w", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(HEADER)
        for n in range(ROWS):
            at = f"2025-03-{1 + n % 28:02d}T10:{n % 60:02d}:00+03:00"
            end = "?" if n % 100 == 0 else "gone" if n % 10 == 9 else "agent"
            lines.writerow([n, f"q{n % 5}", f"Agent {n % 40}", at, at, n % 90, n % 400 if end == "agent" else "", end])
    return [str(file), "--mapping", str(mapping), "--json"]


def start(files: list[str]) -> subprocess.Popen[str]:
    command = ["setpriv", "--pdeathsig", "KILL", "--", str(SANTRAL), "import", "calls", *files]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def stored(tenant: Tenant) -> dict[str, int]:
    async with db.transaction(tenant.system) as tx:
        row = await tx.fetchrow(
            "select (select count(*) from crm.call) as calls, (select count(*) from crm.queue_visit) as stays,"
            " (select count(*) from crm.historical_call) as past, (select count(*) from crm.outside_agent) as agents,"
            " (select count(*) from crm.event_log where event_type = 'historical_call.imported') as events,"
            " (select read from crm.import_run) as read"
        )
    return dict(row)


async def test_of_the_command(tenant, files):
    process = start(files)
    await in_the_middle(tenant)
    process.kill()
    await ended(process)
    so_far = await stored(tenant)
    assert 0 < so_far["read"] < ROWS, "the kill came into the middle"
    assert so_far["calls"] == so_far["stays"] == so_far["past"] == so_far["events"] == so_far["read"] // 100 * 99

    answer, _ = await ended(start(files))

    told = json.loads(answer)
    bad = ROWS // 100
    report = Path(told.pop("report")).read_text(encoding="utf-8-sig")
    assert told == {"read": ROWS, "created": ROWS - bad, "merged": 0, "unchanged": 0, "rejected": bad}
    assert len(report.splitlines()) == 1 + bad
    whole = await stored(tenant)
    assert whole["calls"] == whole["stays"] == whole["past"] == whole["events"] == ROWS - bad
    assert whole["agents"] == 40
