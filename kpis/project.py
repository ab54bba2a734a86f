"""The dbt project: where it is, how its tools reach the database, and its compiled manifest.

A manifest is kept under the fingerprint of the files it was made from, so that it is built once for each state of the
project, never stale, and safe when two processes want it at the same moment: one builds, the others wait for it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

from crm import errors
from crm.settings import PIPELINE_ROLE, settings

FOLDER = Path(__file__).resolve().parents[1] / "dbt_project"
KEPT = 3
"""Manifests of earlier states of the project that are kept for processes still using them."""


class Broken(errors.CrmError):
    """The dbt project cannot be parsed."""

    code = "kpi.project-broken"


def environment() -> dict[str, str]:
    """Return what dbt's profile reads: the main database under the pipeline's role."""
    url = settings().role_url(PIPELINE_ROLE)
    return {
        "SANTRAL_DBT_HOST": url.host or str(url.query.get("host", "127.0.0.1")),
        "SANTRAL_DBT_PORT": str(url.port or 5432),
        "SANTRAL_DBT_USER": str(url.username),
        "SANTRAL_DBT_PASSWORD": str(url.password),
        "SANTRAL_DBT_DATABASE": str(url.database),
        "SANTRAL_DBT_SSLMODE": str(url.query.get("sslmode", url.query.get("ssl", "prefer"))),
        "DBT_PROFILES_DIR": str(FOLDER),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_USE_COLORS": "false",
        "DO_NOT_TRACK": "1",
    }


def executable() -> str:
    """Return the dbt of this Python's environment, which need not be on PATH."""
    return str(Path(sysconfig.get_path("scripts")) / "dbt")


def target() -> Path:
    """Return the folder with both manifests of the project as it stands, built when it is missing.

    :raises Broken: when dbt cannot parse the project.
    """
    folder = settings().home.resolve() / "dbt" / _fingerprint()
    if not folder.exists():
        with _alone(folder.parent):
            if not folder.exists():
                _build(folder)
    return folder


@contextmanager
def _alone(shelf: Path) -> Iterator[None]:
    """Let one thread of one process at a time build here: it takes ten seconds. The kernel frees what the dead held."""
    shelf.mkdir(parents=True, exist_ok=True)
    held = os.open(shelf, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


@cache
def _fingerprint() -> str:
    """Return the hash of the project's files, taken once a process: what runs does not change under its feet."""
    digest = hashlib.sha256(version("dbt-core").encode())
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in {".sql", ".yml", ".csv"} and "target" not in path.relative_to(FOLDER).parts:
            digest.update(str(path.relative_to(FOLDER)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path) -> None:
    making = folder.parent / ".making"
    shutil.rmtree(making, ignore_errors=True)  # of one who was killed
    parsed = subprocess.run(
        [executable(), "parse", "--quiet", "--target-path", str(making), "--log-path", str(making)],
        cwd=FOLDER, env={**os.environ, **environment()}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if parsed.returncode:
        raise Broken(f"dbt cannot parse the project: {(parsed.stdout + parsed.stderr).strip()[-2000:]}")
    making.rename(folder)
    _tidy(keep=folder)


def _tidy(keep: Path) -> None:
    older = sorted(
        (path for path in keep.parent.iterdir() if path.is_dir() and not path.name.startswith(".") and path != keep),
        key=lambda path: path.stat().st_mtime,
    )
    for path in older[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)
