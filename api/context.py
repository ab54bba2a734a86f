"""What is known of a request before any route sees it: its trace, its instant, and who sent it."""

from collections.abc import MutableMapping
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import clock, errors, ids
from crm.actor import Actor

KEY = "santral"


class RequestContext:
    """One request. `refusal`: why the token it carried is no good; it matters only where a permission is asked."""

    __slots__ = ("actor", "now", "refusal", "tenant_id", "trace_id")

    def __init__(self, trace_id: UUID, now: datetime) -> None:
        self.trace_id = trace_id
        self.now = now
        self.actor: Actor | None = None
        self.refusal: errors.NotAuthenticated | None = None
        self.tenant_id = ids.NOBODY
        """Whose request log gets the request; a public route that learns its tenant writes it here."""


def context_of(scope: MutableMapping[str, Any]) -> RequestContext:
    """Return the request's context; a request that came past the frame (a bare test) gets a fresh one."""
    found: RequestContext | None = scope.get(KEY)
    if found is None:
        found = scope[KEY] = RequestContext(ids.new(), clock.utc_now())
    return found
