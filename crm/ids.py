"""Typed identifiers. UUIDv7 (RFC 9562): they sort by the time they were made, so indexes stay dense at one end."""

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


def new() -> UUID:
    """Return a fresh UUIDv7, as the driver's own kind of UUID: it is made and sent in a third of the time."""
    made: UUID = DriverUUID(uuid7().bytes)
    return made
