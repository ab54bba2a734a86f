"""`santral import`: the right mapping for the right rows, said in a sentence."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.kill.firm import SANTRAL

PLAN = """
kind: calls
source: old_exchange
encoding: latin-1
delimiter: "\\t"
fields: {external_id: Id, queue: Queue, agent: Agent, began_at: Began, talk_s: Talk}
ending: {column: End, values: {agent: served}}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A file of two calls, one of them bad, and its mapping."""
    file, mapping = tmp_path / "calls.tsv", tmp_path / "calls.yaml"
    mapping.write_text(PLAN)
    lines = [
        "Id\tQueue\tAgent\tBegan\tTalk\tEnd",
        "1\tsales\tGÜL\t2025-03-03T10:00:00+03:00\t60\tagent",
        "2\tsales\tGÜL\tyesterday\t60\tagent",
    ]
    file.write_text("\n".join(lines), encoding="iso-8859-9")
    return file, mapping


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SANTRAL, "import", *map(str, arguments)], capture_output=True, text=True, timeout=120)


async def test_calls_end_with_a_line_of_numbers_that_add_up(tenant, files):
    file, mapping = files

    answers = [
        json.loads(run("calls", file, "--mapping", mapping, "--json", *more).stdout) for more in (["--dry-run"], [], [])
    ]

    report = str(file.with_name("calls.rejected.csv"))
    numbers = [tuple(each[name] for name in ("read", "created", "merged", "unchanged", "rejected")) for each in answers]
    assert numbers == [(2, 1, 0, 0, 1), (2, 1, 0, 0, 1), (2, 0, 0, 1, 1)]
    assert [each["report"] for each in answers] == [report] * 3
    assert "Began: not an instant in the format iso" in Path(report).read_text(encoding="latin-1")


async def test_a_mapping_of_the_other_kind_is_refused(tenant, files):
    file, mapping = files

    for kind, wrong, told in (
        ("leads", mapping, "for calls, not for leads"),
        ("calls", "x_education", "for leads, not"),
    ):
        answer = run(kind, file, "--mapping", wrong)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert told in answer.stderr
