"""Passwords: argon2id (RFC 9106), hashed beside the event loop, so that nobody else waits."""

import asyncio
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from crm import errors
from crm.users import rules

AT_ONCE = 2
"""Hashes computed at the same time: each takes 64 MiB and a tenth of a second of a core."""


class WeakPassword(errors.Invalid):
    """This password is too easy to guess."""

    code = "password.weak"


def require_good(password: str, *, email: str, field: str = "password") -> None:
    """:raises WeakPassword: when the password (of this field) cannot be taken."""
    if reason := rules.reason_against_password(password, email=email):
        raise WeakPassword(fields={field: reason})


async def hashed(password: str) -> str:
    """Return the argon2id hash of a password, salt and parameters included."""
    async with _turn():
        return await asyncio.to_thread(_hasher().hash, password)


async def matches(password: str, password_hash: str | None) -> bool:
    """Tell whether a password is the one that was hashed; without a hash it takes as long and answers no."""
    async with _turn():
        return await asyncio.to_thread(_verify, password, password_hash)


def _verify(password: str, password_hash: str | None) -> bool:
    try:
        right = _hasher().verify(password_hash or _nobodys(), password)
    except (VerificationError, InvalidHashError):
        return False
    return right and password_hash is not None


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys() -> str:
    """Return a hash that no password matches on purpose: an unknown address costs as much time as a wrong password."""
    return _hasher().hash("no account has this")


_turns: dict[int, asyncio.Semaphore] = {}


def _turn() -> asyncio.Semaphore:
    """Return this loop's semaphore; a semaphore belongs to the loop that first waits on it."""
    loop = asyncio.get_running_loop()
    return _turns.setdefault(id(loop), asyncio.Semaphore(AT_ONCE))
