"""Asking the API once a minute whether it is fit for use, as a client would."""

import time
from datetime import datetime
from uuid import UUID

import httpx

from crm import db, health
from crm.actor import Actor
from crm.chores import Chore, Clock
from crm.settings import settings

PATIENCE = 10.0
"""Seconds after which an API that has not answered is not fit for use."""


class Prober(Chore):
    """Probes the API and notes, for every tenant, what it found in this minute. Several workers do not disturb."""

    name = "probe"
    every = 20.0  # so that no minute goes by between two looks

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._found: tuple[datetime, bool, float] | None = None
        self._noted: dict[UUID, datetime] = {}

    async def work(self, tenant_id: UUID) -> None:
        """Note the minute's probe for a tenant; the first tenant's turn asks the API."""
        minute = health.minute_of(self.clock())
        if self._noted.get(tenant_id) == minute:
            return
        if self._found is None or self._found[0] != minute:
            self._found = (minute, *await probe(f"{settings().api_url}/readyz"))
        _, is_ok, duration_ms = self._found
        async with db.transaction(Actor.system(tenant_id)) as tx:
            await health.note_probe(tx, is_ok=is_ok, duration_ms=duration_ms, now=minute)
        self._noted[tenant_id] = minute


async def probe(url: str) -> tuple[bool, float]:
    """Return whether an address answers well, and after how many milliseconds."""
    began = time.monotonic()
    try:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            is_ok = (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        is_ok = False
    return is_ok, (time.monotonic() - began) * 1000
