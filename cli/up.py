"""`santral up`: everything, from nothing, under one supervisor."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli import dagster_home, home, postgres, processes, supervisor, sweep, telephony
from cli.keeper import free_port
from crm import clock, errors
from crm.settings import Settings, settings

app = typer.Typer()
ROOM = 1_000_000_000
"""Bytes the whole wants free: database, logs and the pipeline's files."""


class Running(errors.Conflict):
    """Santral runs already for this home."""

    code = "running"


class Ended(errors.Unavailable):
    """A process has ended, and the others with it."""

    code = "ended"


@app.command()
def up(
    exit_when_ready: Annotated[bool, typer.Option(help="Start, show addresses and figures, stop, end with 0.")] = False,
    size: Annotated[int, typer.Option(min=0, help="Leads of the demo's month, on the first start.")] = 2500,
) -> None:
    """Start everything, show where it is, and stop it all on Ctrl-C. The data stays for the next time."""
    os.environ.setdefault("SANTRAL_ENVIRONMENT", "demo")
    place, embedded, began = home.settle(), postgres.is_embedded(), clock.utc_now()
    settings.cache_clear()
    with _alone(place):
        home.require_room(place, wanted=ROOM)
        processes.require_ports(settings())
        with postgres.ensure_database(), sweep.swept() as mark:
            config = settings()
            exchange = telephony.loopback(config, place)
            environment, is_demo = _environment(config, place) | mark | exchange, config.environment == "demo"
            if is_demo:
                _prepare_demo(config, size, environment)
            port = free_port()
            dagster_home.write_workspace(place, "127.0.0.1", port)
            named = config.model_copy(update={"ami_host": environment.get("SANTRAL_AMI_HOST", "")})
            is_own = bool(exchange)
            parts = processes.parts(named, port, since=began, live=is_demo, loopback=is_own)
            flags = {"exit-when-ready": exit_when_ready, "embedded": embedded, "live": is_demo, "loopback": is_own}
            parts.append(_spokesman(began, *(word for word, is_set in flags.items() if is_set)))
            code, first = supervisor.run(parts, environment, logs=place / "logs", cwd=home.CHECKOUT)
    if first and not (first == supervisor.SPOKESMAN and code == 0 and exit_when_ready):
        _explain(first, code, place / "logs" / f"{first}.log")


def _spokesman(began: datetime, *words: str) -> processes.Part:
    """The process that says when all is ready."""
    return processes.Part(supervisor.SPOKESMAN, [sys.executable, "-m", "cli.watch", began.isoformat(), *words])


def _explain(first: str, code: int, log: Path) -> NoReturn:
    """Say which process ended and what it last said."""
    if first != supervisor.SPOKESMAN:
        print(supervisor.last_words(log), file=sys.stderr)
    raise Ended(f"{first} has ended (exit code {code}), so all was stopped; its log is {log}")


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the home for one supervisor.

    :raises Running: when another holds it.
    """
    with open(place / "up", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Running(
                f"Santral already runs with its state in {place}: stop it, or set another SANTRAL_HOME"
            ) from None
        yield


def _environment(config: Settings, place: Path) -> dict[str, str]:
    """Return the environment of the processes: nothing phones home, big libraries stay compiled."""
    own = {
        "PATH": f"{processes.BIN}{os.pathsep}{os.environ.get('PATH', '/usr/bin:/bin')}",
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "SANTRAL_API_URL": os.environ.get("SANTRAL_API_URL", processes.addresses(config)["api"]),
        "COLUMNS": str(shutil.get_terminal_size((100, 24)).columns),
    }
    if config.environment == "demo" and "SANTRAL_GRAPH_URL" not in os.environ:
        # The demo's outside world is ours: `santral demo --live` answers there in Meta's place.
        own["SANTRAL_GRAPH_URL"] = f"http://127.0.0.1:{free_port()}"
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | own | dagster_home.prepare(place, config)


def _prepare_demo(config: Settings, leads: int, environment: Mapping[str, str]) -> None:
    """Fill the demo tenant on the first start, and publish its marts, so that every screen has something to show."""
    if _santral(environment, "demo", "--leads", str(leads)):
        raise Ended("the demo could not be loaded, for the reason above")
    if not _is_published(config) and _santral(environment, "pipeline", "run"):
        print("the pipeline could not publish everything, for the reason above; its schedules will try again")


def _santral(environment: Mapping[str, str], *words: str) -> int:
    """Run a command in a process of its own: its memory and its connections end with it. Return its exit code."""
    command = ["setpriv", "--pdeathsig", "KILL", "--", str(processes.BIN / "santral"), *words]
    return subprocess.run(command, env=dict(environment), check=False).returncode


def _is_published(config: Settings) -> bool:
    """Whether the pipeline has published marts before."""
    with processes.connect(config) as connection:
        return bool(connection.execute("select 1 from ops.publication limit 1").fetchone())
