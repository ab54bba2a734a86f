"""The processes of a running Santral: how each is started and how it shows that it is healthy."""

import json
import shlex
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import psycopg

from cli import dagster_home, home, telephony
from crm import errors
from crm.settings import Settings

BIN = Path(sys.executable).parent
CODE = "orchestration.definitions"
CALLS_PER_MINUTE = 4
"""Customers who call the demo's firm by telephone."""
DAGSTER_HEALTH = """{
  workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } }
  instance { daemonHealth { allDaemonStatuses { required healthy } } }
}"""

Check = Callable[[], str]
"""Returns what is still missing in a few words; nothing when the process is healthy."""


class PortTaken(errors.Conflict):
    """A port we need is in use."""

    code = "port_taken"


@dataclass(frozen=True, eq=False)
class Part:
    """One process. `check` is None for one that has nothing to answer: it is healthy while it lives.

    `is_shown`: its lines are worth the screen; all are kept in its log.
    `after_port`: it starts when something listens there; runs asked for before that would fail.
    """

    name: str
    command: list[str]
    check: Check | None = None
    is_shown: bool = False
    after_port: int | None = None

    @property
    def line(self) -> str:
        """The shell line: the process dies with its parent, whatever its parent dies of."""
        command = self.command
        if self.after_port:
            wait = f"until (: < /dev/tcp/127.0.0.1/{self.after_port}) 2> /dev/null; do sleep 0.2; done"
            command = ["bash", "-c", f'{wait}; exec "$@"', self.name, *command]
        return "exec setpriv --pdeathsig KILL -- " + shlex.join(command)


def parts(config: Settings, code_port: int, *, since: datetime, live: bool, loopback: bool = False) -> list[Part]:
    """Return every process but the database.

    :param code_port: where the pipeline's code server listens.
    :param since: when we began; a worker's older heartbeat was another's.
    :param live: whether a trickle of demo traffic keeps the screens moving.
    :param loopback: whether the telephone exchange is one of our own, where nobody is ever called.
    """
    python, workspace = [sys.executable, "-m"], str(dagster_home.workspace(config.home))
    api, dagster, dashboards = addresses(config).values()
    listen = ["-h", config.dagster_host]
    code = ["-h", "127.0.0.1", "-p", str(code_port)]
    streamlit = ["--server.headless=true", f"--server.address={config.host}", "--browser.gatherUsageStats=false"]
    streamlit += [f"--server.port={config.dashboard_port}", "--server.fileWatcherType=none"]
    found = [
        Part("api", [*python, "api"], lambda: answers(f"{api}/readyz"), is_shown=True),
        Part("worker", _program("santral", "worker"), lambda: worker_beats(config, since), is_shown=True),
        Part(
            "pipeline",
            [*_program("dagster", "api", "grpc", "-m", "orchestration.definitions"), *code],
        ),
        Part(
            "dagster",
            [*python, "orchestration.ui", "-w", workspace, *listen, "-p", str(config.dagster_port)],
            lambda: dagster_is_whole(dagster),
            after_port=code_port,
        ),
        Part("schedules", [*python, "orchestration.daemon", "run", "-w", workspace], after_port=code_port),
        Part(
            "dashboards",
            [*python, "streamlit", "run", str(home.CHECKOUT / "dashboards" / "app.py"), *streamlit],
            lambda: answers(f"{dashboards}/_stcore/health"),
        ),
    ]
    if config.ami_host:
        found.append(Part("dialer", _program("santral", "dialer"), lambda: bridge_works(config), is_shown=True))
    if loopback:
        calls = ["--calls", str(CALLS_PER_MINUTE)]
        found.append(Part("exchange", [*python, "dialer.exchange", *calls], lambda: telephony.listens(config)))
    return [*found, Part("demo", _program("santral", "demo", "--live"), is_shown=True)] if live else found


def _program(program: str, *arguments: str) -> list[str]:
    return [str(BIN / program), *arguments]


def addresses(config: Settings) -> dict[str, str]:
    """Return what a browser on this machine can open."""
    places = {
        "api": (config.host, config.api_port),
        "dagster": (config.dagster_host, config.dagster_port),
        "dashboards": (config.host, config.dashboard_port),
    }
    return {
        name: f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
        for name, (host, port) in places.items()
    }


def require_ports(config: Settings) -> None:
    """Refuse to start beside somebody else's server.

    :raises PortTaken: when a port is in use; the message names the port and the variable that moves us.
    """
    wanted = {
        "SANTRAL_API_PORT": (config.host, config.api_port),
        "SANTRAL_DASHBOARD_PORT": (config.host, config.dashboard_port),
        "SANTRAL_DAGSTER_PORT": (config.dagster_host, config.dagster_port),
    }
    for variable, (host, port) in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise PortTaken(
                    f"port {port} of {host} cannot be used ({(error.strerror or '').lower()}): "
                    f"stop what listens there, or set {variable} to a free port"
                ) from error


def connect(config: Settings) -> psycopg.Connection:
    """Connect to the main database as its owner."""
    url = config.owner_url().set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(url, connect_timeout=5)


def worker_beats(config: Settings, since: datetime) -> str:
    """Check that a worker has written its heartbeat since an instant."""
    query = "select exists (select from jobs.procrastinate_workers where last_heartbeat >= %s)"
    try:
        with connect(config) as connection:
            row = connection.execute(query, [since]).fetchone()
    except psycopg.OperationalError:
        return "the database does not answer"
    return "" if row and row[0] else "its heart does not beat yet"


def bridge_works(config: Settings) -> str:
    """Check that a bridge carries the tenant's calls."""
    try:
        with connect(config) as connection:
            return telephony.bridges(connection, config)
    except psycopg.OperationalError:
        return "the database does not answer"


def answers(url: str) -> str:
    """Check that an address answers 200."""
    try:
        answer = httpx.get(url, timeout=5)
    except httpx.HTTPError:
        return "does not answer yet"
    return "" if answer.status_code == 200 else f"answers {answer.status_code}"


def dagster_is_whole(url: str) -> str:
    """Check Dagster's web server and, through it, the pipeline's code and the daemon behind the schedules."""
    if missing := answers(f"{url}/server_info"):
        return missing
    try:
        answer = httpx.post(f"{url}/graphql", json={"query": DAGSTER_HEALTH}, timeout=10).json()["data"]
    except (httpx.HTTPError, KeyError, json.JSONDecodeError):
        return "does not answer questions yet"
    entries = answer["workspaceOrError"].get("locationEntries", [])
    kinds = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
    if kinds != ["RepositoryLocation"]:
        return "the pipeline's code is not loaded"
    daemons = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
    return "" if all(each["healthy"] for each in daemons if each["required"]) else "its daemon does not beat yet"
