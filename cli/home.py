"""The state of this checkout: where it lives, whether it has room, and its secret."""

import os
import secrets
import shutil
from base64 import b64encode
from pathlib import Path

from crm import errors

CHECKOUT = Path(__file__).resolve().parents[1]
ROOM = 500_000_000
"""Bytes a fresh database with its write-ahead log and a demo month want free."""


class NoRoom(errors.Unavailable):
    """The disk is full."""

    code = "no_room"


def settle() -> Path:
    """Return SANTRAL_HOME (default `.santral` beside the code), made and absolute, also for the processes we start.

    :raises NoRoom: when the disk has no room for it, or the folder cannot be written.
    """
    home = Path(os.environ.get("SANTRAL_HOME") or CHECKOUT / ".santral").absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NoRoom(f"cannot make {home} ({error.strerror}): set SANTRAL_HOME to a folder you may write") from error
    os.environ["SANTRAL_HOME"] = str(home)
    return home


def require_room(home: Path, *, wanted: int = ROOM) -> None:
    """Refuse to start what would fill the disk.

    :raises NoRoom: when fewer than `wanted` bytes are free under `home`.
    """
    free = shutil.disk_usage(home).free
    if free < wanted:
        raise NoRoom(
            f"{free // 1_000_000} MB are free under {home} and {wanted // 1_000_000} MB are needed: "
            "free some disk, or set SANTRAL_HOME to a folder on another one"
        )


def secret(home: Path) -> str:
    """Return this home's own secret, 32 random bytes in base64, made readable by its owner only on first use."""
    path = home / "secret"
    draft = home / f".secret.{os.getpid()}"
    if not path.exists():
        draft.touch(mode=0o600)
        draft.write_text(b64encode(secrets.token_bytes(32)).decode())
        try:
            # A link appears whole or not at all, and the first of two racing processes wins.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
