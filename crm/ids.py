"""Typed identifiers. UUIDv7 (RFC 9562): they sort by the time they were made, so indexes stay dense at one end."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from random import Random
from typing import NewType
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID
from uuid_utils import uuid7

TenantId = NewType("TenantId", UUID)
UserId = NewType("UserId", UUID)
TeamId = NewType("TeamId", UUID)
ContactId = NewType("ContactId", UUID)
LeadId = NewType("LeadId", UUID)
KeyId = NewType("KeyId", UUID)

NOBODY = UUID(int=0)
"""Stands for no tenant, where a row must name one (requests before sign-in)."""


_repeated: ContextVar[Iterator[bytes] | None] = ContextVar("repeated ids", default=None)


def new() -> UUID:
    """Return a fresh UUIDv7, as the driver's own kind of UUID: it is made and sent in a third of the time."""
    sequence = _repeated.get()
    made: UUID = DriverUUID(uuid7().bytes if sequence is None else next(sequence))
    return made


def unique() -> UUID:
    """Return a fresh UUIDv7 that no other database has, within `repeated` too: for what several databases share."""
    made: UUID = DriverUUID(uuid7().bytes)
    return made


def sequence(seed: str, at: datetime) -> Iterator[bytes]:
    """Yield UUIDv7 bytes for `repeated`: the same for the same seed and instant (UTC), ascending, unlike otherwise."""
    drawn = Random(f"{seed} {at.isoformat()}")
    millisecond = int(at.timestamp() * 1000)
    while True:
        millisecond += 1
        random = drawn.getrandbits(74)
        number = millisecond << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
        yield number.to_bytes(16)


@contextmanager
def repeated(source: Iterator[bytes]) -> Iterator[None]:
    """Take ids from `sequence` within the block, in this task alone: for invented firms, whose days can be made again.

    Whose turn it is and which side of an experiment somebody is on is drawn from ids.
    """
    before = _repeated.set(source)
    try:
        yield
    finally:
        _repeated.reset(before)
