"""The process that owns an embedded server: it starts it for the first user and stops it when the last one leaves, or
is gone: the kernel frees the locks of the dead, however they died.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from cli.account import ServerRefused, run_as, runtime_user

PATIENCE = 30.0
"""Seconds a server may take to start or to stop."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "10s",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "scram_iterations": "1"}
"""For servers whose data dies with the test run: it need not last, and their passwords guard nothing."""


def launch(base: Path, binaries: Path, *, fast: bool) -> tuple[subprocess.Popen[bytes], int]:
    """Start the process that owns the server; return it and the server's port.

    :raises ServerRefused: when the server does not come up; its last words are in the message.
    """
    ours = [sys.executable, "-m", "cli.keeper", str(base), str(binaries), "fast" if fast else "safe"]
    with open(base / "postgres.log", "ab") as log:
        # A session of its own: Ctrl-C in the terminal is for us, and we still need the database to stop in order.
        keeper = subprocess.Popen(
            ours,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    assert keeper.stdout is not None
    with keeper.stdout as words:
        port = words.readline()
    if not port.strip():
        keeper.wait()
        log_file = base / "postgres.log"
        last = last_line(log_file.read_text(errors="replace"))
        raise ServerRefused(f"PostgreSQL did not start: {last} (its log is {log_file})")
    return keeper, int(port)


def stop(base: Path) -> None:
    """End the server now, as its last user, so that nothing of it runs when we have left. New users wait for us."""
    if is_kept(base):
        os.kill(int((base / "keeper").read_text()), signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while is_kept(base) and time.monotonic() < deadline:
        time.sleep(0.01)


def running(base: Path) -> int | None:
    """Return the port of the server that a living keeper holds, or None. Call it under the lock `starting`."""
    if not is_kept(base):
        return None
    # Normally ready already; not yet when the one who launched the keeper was killed while waiting for it.
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = _postmaster(base)
        if len(lines) > 7 and lines[7].strip() == "ready":
            return int(lines[3])
        time.sleep(0.02)
    raise ServerRefused(f"PostgreSQL in {base} does not become ready; its words are in {base / 'postgres.log'}")


def is_kept(base: Path) -> bool:
    """Whether a living keeper holds a server's files."""
    with open(base / "keeper", "a") as keeper:
        try:
            fcntl.flock(keeper, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def is_alone(users: IO[str] | int) -> bool:
    """Whether no other user is left; if so, new ones wait until this file is closed."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def last_line(text: str) -> str:
    """Return what a program said last."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keep(base: Path, binaries: Path, *, fast: bool, announce: IO[str]) -> int:
    """Own a server until its last user is gone; the body of the keeper process. Return its exit code."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    # Both are held until this process has ended, so that nobody who waits for that finds a trace of it.
    mine, users = os.open(base / "keeper", os.O_RDWR | os.O_CREAT), os.open(base / "users", os.O_RDWR)
    fcntl.flock(mine, fcntl.LOCK_EX)
    (base / "keeper").write_text(str(os.getpid()))
    _outlast_orphan(base)
    postgres = _start(base, binaries, fast=fast)
    port = _wait_until_ready(base, postgres)
    if port:
        with suppress(BrokenPipeError):  # whoever launched us is gone; others may be here already
            print(port, file=announce, flush=True)
    announce.close()
    while port and not stopped and postgres.poll() is None and not is_alone(users):
        time.sleep(0.05)
    if postgres.poll() is None:
        postgres.send_signal(signal.SIGINT)
        try:
            postgres.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            postgres.send_signal(signal.SIGQUIT)
    return postgres.wait()


def command(base: Path, binaries: Path, *, port: int, fast: bool) -> list[str]:
    """Return the command that runs a server for as long as the thread lives that starts it."""
    settings = SETTINGS | {"port": str(port)} | (FORGETFUL if fast else {})
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    # setpriv sets the death signal after the account has changed (a change clears it) and execs, so the pid is the
    # server's. The signal follows the thread that calls Popen, so that is the main thread. INT = fast shutdown.
    return ["setpriv", "--pdeathsig", "INT", "--", str(binaries / "postgres"), "-D", str(base / "data"), *options]


def _start(base: Path, binaries: Path, *, fast: bool) -> subprocess.Popen[bytes]:
    """Start postgres on a free port, bound to the life of this process."""
    return subprocess.Popen(
        command(base, binaries, port=free_port(), fast=fast),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
        **run_as(runtime_user()),
    )


def _wait_until_ready(base: Path, postgres: subprocess.Popen[bytes]) -> int | None:
    """Return the port once this very process is ready, or None when it ended. Another server may answer on the port."""
    deadline = time.monotonic() + PATIENCE
    while postgres.poll() is None and time.monotonic() < deadline:
        lines = _postmaster(base)
        if len(lines) > 7 and int(lines[0]) == postgres.pid and lines[7].strip() == "ready":
            return int(lines[3])
        time.sleep(0.01)
    return None


def _outlast_orphan(base: Path) -> None:
    """Wait for a server whose keeper was killed: it is shutting down and still owns the data folder."""
    deadline = time.monotonic() + PATIENCE
    while (lines := _postmaster(base)) and time.monotonic() < deadline:
        try:
            command = Path(f"/proc/{int(lines[0])}/cmdline").read_bytes()
        except (OSError, ValueError):
            return
        if str(base / "data").encode() not in command:
            return
        time.sleep(0.02)


def _postmaster(base: Path) -> list[str]:
    """Return the lines of postmaster.pid: 0 the pid, 3 the port, 7 the state; none when no server runs."""
    try:
        return (base / "data" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    folder, programs, mode = sys.argv[1:]
    os._exit(keep(Path(folder), Path(programs), fast=mode == "fast", announce=sys.stdout) != 0)
