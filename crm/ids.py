"""Typed identifiers. UUIDv7 (RFC 9562): they sort by the time they were made, so indexes stay dense at one end."""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

TenantId = NewType("TenantId", UUID)
UserId = NewType("UserId", UUID)
TeamId = NewType("TeamId", UUID)
ContactId = NewType("ContactId", UUID)
LeadId = NewType("LeadId", UUID)
KeyId = NewType("KeyId", UUID)

NOBODY = UUID(int=0)
"""Stands for no tenant, where a row must name one (requests before sign-in)."""


def new() -> UUID:
    """Return a fresh UUIDv7."""
    return uuid7()
