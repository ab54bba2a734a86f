"""`santral up`, the whole product on a fresh home: started, shown, stopped, killed. One test: each start takes time."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

SANTRAL = Path(sys.executable).parent / "santral"
PATIENCE = 300
"""Seconds for a start beside all other tests; alone it takes about ten."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A fresh home that the database's account can pass through."""
    place = Path(tempfile.mkdtemp(prefix="santral-up-"))
    place.chmod(0o755)
    yield place
    for process in processes_of(place):
        process.kill()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """Only what a person has, and ports of our own."""
    names = ("API", "DASHBOARD", "DAGSTER")
    held = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {f"SANTRAL_{name}_PORT": str(each.getsockname()[1]) for name, each in zip(names, held, strict=True)}
    for each in held:
        each.close()
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "SANTRAL_HOME": str(home), "COLUMNS": "120"} | ports


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that has the home in its environment or on its command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and (
                process.environ().get("SANTRAL_HOME") == str(home)
                or any(str(home) in word for word in process.cmdline())
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_up_from_nothing_shows_itself_keeps_its_data_and_leaves_nothing_behind(
    home: Path, environment: dict[str, str]
) -> None:
    command = [SANTRAL, "up", "--size", "40"]
    first = subprocess.run(
        [*command, "--exit-when-ready"], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )

    assert first.returncode == 0, first.stdout + first.stderr
    assert f"http://127.0.0.1:{environment['SANTRAL_API_PORT']}/docs" in first.stdout
    assert re.search(r"sales_agent\s+│ \S+@\S+\s+│ \S+", first.stdout)
    assert re.search(r"Funnel: lead\s+│ \d+", first.stdout)
    assert processes_of(home) == []

    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert running.stdout
    second = ""
    for line in running.stdout:
        second += line
        if line.startswith("Ready after"):
            break
    assert "Ready after" in second
    assert "building the marts" not in second
    for name, path in {"API": "/readyz", "DASHBOARD": "/_stcore/health", "DAGSTER": "/server_info"}.items():
        assert httpx.get(f"http://127.0.0.1:{environment[f'SANTRAL_{name}_PORT']}{path}").status_code == 200
    theirs = {"origin": "https://evil.example", "content-type": "text/plain"}
    launch = f"http://127.0.0.1:{environment['SANTRAL_DAGSTER_PORT']}/graphql?query=mutation"
    assert httpx.post(launch, headers=theirs).status_code == 403, "it obeys nobody else's page"
    another = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert another.returncode == 1
    assert "already runs" in another.stderr

    running.kill()

    deadline = time.monotonic() + 60
    while (remaining := processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert remaining == []
    assert not (home / "postgres/data/postmaster.pid").exists()
    assert "database system is shut down" in (home / "postgres/postgres.log").read_text().splitlines()[-1]
