"""Who acts: a person of a tenant, or the system on a tenant's behalf."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from crm import errors, ids


class Forbidden(errors.NotAllowed):
    """Your role does not allow this."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Actor:
    """One acting party within one tenant; `trace_id` ties request, events, audit rows and log lines together."""

    tenant_id: UUID
    user_id: UUID | None = None
    team_id: UUID | None = None
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    trace_id: UUID = field(default_factory=ids.new)
    is_system: bool = False
    session_id: UUID | None = None
    """The session of the access token that a person shows; None: the system, and tokens of no session."""

    @classmethod
    def system(cls, tenant_id: UUID, *, trace_id: UUID | None = None) -> "Actor":
        """Return the system itself, acting for a tenant: every permission, no person."""
        return cls(tenant_id, trace_id=trace_id or ids.new(), is_system=True)

    def may(self, permission: str) -> bool:
        """Tell whether the actor holds a permission."""
        return self.is_system or permission in self.permissions

    def require(self, permission: str) -> None:
        """:raises Forbidden: when the actor does not hold the permission."""
        if not self.may(permission):
            raise Forbidden(f"this needs the permission {permission}; ask an administrator")

    def require_any(self, permissions: Iterable[str]) -> None:
        """:raises Forbidden: when the actor holds none of the permissions."""
        wanted = list(permissions)
        if not any(self.may(permission) for permission in wanted):
            raise Forbidden(f"this needs one of the permissions {', '.join(wanted)}; ask an administrator")
