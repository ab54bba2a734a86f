"""The process that says when Santral is ready, and then watches the database that all others need.

It runs beside the others under the supervisor. When it ends, all end: with 0 after `--exit-when-ready`.
"""

import sys
import time
from collections.abc import Sequence
from datetime import datetime

from cli import cluster, processes, showcase
from cli.processes import Part
from crm.settings import Settings, settings

PATIENCE = 180.0
"""Seconds in which everything must be healthy."""


def watch(config: Settings, parts: Sequence[Part], *, embedded: bool, exit_when_ready: bool, since: datetime) -> int:
    """Wait until all are healthy, show where everything is, and stay while the database does. Return the exit code."""
    if missing := wait_until_healthy(parts):
        for part, what in missing.items():
            log = config.home / "logs" / f"{part.name}.log"
            print(f"santral: {part.name} is not healthy after {PATIENCE:.0f} s: {what}; its log is {log}")
        return 1
    showcase.show(config, since=since, with_figures=exit_when_ready)
    while not exit_when_ready:
        time.sleep(1)
        if embedded and not cluster.is_kept(config.home):
            print(f"santral: PostgreSQL has ended; its log is {config.home / 'postgres' / 'postgres.log'}")
            return 1
    return 0


def wait_until_healthy(parts: Sequence[Part], *, patience: float = PATIENCE) -> dict[Part, str]:
    """Ask each part until all are healthy; return those that are not by the end, with what they lack."""
    deadline = time.monotonic() + patience
    missing = {part: "does not answer yet" for part in parts if part.check}
    while missing and time.monotonic() < deadline:
        missing = {part: what for part in missing if part.check and (what := part.check())}
        if missing:
            time.sleep(0.3)
    return missing


if __name__ == "__main__":
    started, *flags = sys.argv[1:]
    began, config = datetime.fromisoformat(started), settings()
    everything = processes.parts(config, 0, since=began, live="live" in flags, loopback="loopback" in flags)
    sys.exit(
        watch(
            config,
            everything,
            embedded="embedded" in flags,
            exit_when_ready="exit-when-ready" in flags,
            since=began,
        )
    )
