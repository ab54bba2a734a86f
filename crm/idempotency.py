"""Idempotency keys: the same creating request sent twice is done once and answered the same (DESIGN contract 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm import errors


class KeyReused(errors.Conflict):
    """This Idempotency-Key was used before for another request; choose a new one."""

    code = "idempotency.conflict"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The key a client chose for one creating request, the route it was used on, and the SHA-256 of its body."""

    key: str
    route: str
    body_hash: bytes

    def require_same(self, earlier: Mapping[str, Any]) -> None:
        """:raises KeyReused: when the row kept under this key has another route or body."""
        if earlier["route"] != self.route or bytes(earlier["body_hash"]) != self.body_hash:
            raise KeyReused
