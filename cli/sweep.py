"""The last line against leaked processes: whatever a supervisor's processes started carries its mark and is ended.

Death signals reach only children; Dagster starts runs, which start dbt. This process waits on a pipe that closes when
the supervisor is gone, however it went, and then ends everything that carries the mark in its environment.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

MARK = "SANTRAL_SUPERVISOR"
GRACE = 3.0
"""Seconds between asking a process to end and ending it."""


@contextmanager
def swept() -> Iterator[dict[str, str]]:
    """Yield the environment that marks processes; none of them outlives the block or this process."""
    mark = uuid4().hex
    command = [sys.executable, "-m", "cli.sweep", mark]
    sweeper = subprocess.Popen(command, stdin=subprocess.PIPE, cwd="/", start_new_session=True)
    assert sweeper.stdin is not None
    try:
        yield {MARK: mark}
    finally:
        sweeper.stdin.close()
        sweeper.wait()


def marked(mark: str) -> list[int]:
    """Return the processes whose environment carries a mark."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it ended meanwhile, or is another user's
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


def sweep(mark: str) -> None:
    """End every process that carries a mark: first politely, then not."""
    deadline = time.monotonic() + GRACE
    how: int = signal.SIGTERM
    while pids := marked(mark):
        end(pids, how)
        time.sleep(0.1)
        if time.monotonic() > deadline:
            how = signal.SIGKILL


def end(pids: Iterable[int], how: int) -> None:
    """Send a signal to processes; some may have ended meanwhile."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, how)


if __name__ == "__main__":
    sys.stdin.read()
    sweep(sys.argv[1])
