"""The account a server runs as: never root."""

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from crm import errors


class ServerRefused(errors.Unavailable):
    """The embedded PostgreSQL does not run."""

    code = "database.refused"


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


def reachable(path: Path, user: pwd.struct_passwd | None) -> bool:
    """Whether the server's account can pass through a folder, or run a file."""
    command = ["/usr/bin/test", "-x", str(path)]
    return user is None or subprocess.run(command, check=False, **run_as(user)).returncode == 0


def run_as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return how to start a process under an account: an open folder, a bare environment, no groups of ours."""
    how: dict[str, Any] = {"cwd": "/", "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}}
    return how if user is None else how | {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
