"""Calls through the real operations, with every number worked out by hand.

The golden day (KPI.md, section 9) is told by another system's records, the rest by stays that an exchange tells.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from crm import db
from crm.calls import history
from crm.calls.history import PastCall
from crm.calls.story import Outcome
from crm.queues import visits
from crm.queues.visits import Stay
from tests.conftest import Tenant
from tests.crm.queues.factory import make_call

DAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
"""Nine in the morning in Istanbul."""

GOLDEN = {
    "service_level": 81.90, "service_level_strict": 81.13, "service_level_credit": 83.02,
    "service_level_answered": 86.00, "service_level_ignore_sl_abandons": 82.69, "abandonment_rate": 4.76,
}  # fmt: skip
"""Percent."""


def golden_day() -> list[PastCall]:
    """1 000 answered, 860 of them within 20 s; 60 gave up, 20 of them within 20 s, 10 of these within 5 s."""
    answered = [20.0] * 860 + [30.0] * 140
    abandoned = [5.0] * 10 + [20.0] * 10 + [90.0] * 40
    return [
        *(past(f"a{n}", DAY, Outcome.answered, wait_s, talk_s=180) for n, wait_s in enumerate(answered)),
        *(past(f"b{n}", DAY, Outcome.abandoned, wait_s) for n, wait_s in enumerate(abandoned)),
    ]


def past(
    name: str, at: datetime, outcome: Outcome, wait_s: float | None = None, *, talk_s: float | None = None,
    queue: str | None = "golden",
) -> PastCall:  # fmt: skip
    """Return another system's call; without a wait: the caller hung up in self-service."""
    left_at = at + timedelta(seconds=wait_s or 0)
    connected_at = left_at if outcome is Outcome.answered else None
    return PastCall(
        source="golden", external_id=name, zone="Europe/Istanbul", outcome=outcome, began_at=at,
        ended_at=left_at + timedelta(seconds=talk_s or 0), queue=queue, agent="Dana" if talk_s else None,
        enqueued_at=None if wait_s is None else at, left_at=None if wait_s is None else left_at,
        connected_at=connected_at, wait_s=wait_s, talk_s=talk_s, content_hash=repr((outcome, wait_s, talk_s)).encode(),
    )  # fmt: skip


async def import_calls(tenant: Tenant, calls: list[PastCall]) -> list[str]:
    """Store another system's calls, as an import does."""
    async with db.transaction(tenant.system) as tx:
        return await history.store(tx, calls, now=datetime.now(UTC))


async def tell(tenant: Tenant, at: datetime, *stays: dict[str, Any], now: datetime | None = None) -> UUID:
    """Let a call come in and have stays in queues; return it."""
    async with db.transaction(tenant.system) as tx:
        call_id = await make_call(tx, now=at)
        for told in _as_told([stay(at, **each) for each in stays]):
            await visits.keep(tx, call_id, told, now=now or at)
    return call_id


def stay(at: datetime, *, after_s: float = 0, visit_no: int = 1, queue: str = "sales", **changed: Any) -> Stay:
    """Return a stay that began some seconds after an instant; `wait_s`, `talk_s`: how long it then was."""
    since = at + timedelta(seconds=after_s)
    wait_s, talk_s = changed.pop("wait_s", None), changed.pop("talk_s", None)
    left_at = None if wait_s is None else since + timedelta(seconds=wait_s)
    is_answered = changed.get("outcome") == "answered"
    ended_at = left_at + timedelta(seconds=talk_s) if left_at and talk_s is not None else None
    return Stay(
        visit_no=visit_no, queue=queue, enqueued_at=since, left_at=left_at,
        connected_at=left_at if is_answered else None, ended_at=ended_at if is_answered else left_at, talk_s=talk_s,
        ring_s=1 if is_answered else None, wait_s=wait_s, **changed,
    )  # fmt: skip


def _as_told(stays: list[Stay]) -> Iterator[list[Stay]]:
    """Yield stays as an exchange tells them: each begins, then ends."""
    for n, each in enumerate(stays):
        yield [*stays[:n], Stay(visit_no=each.visit_no, queue=each.queue, enqueued_at=each.enqueued_at)]
        yield [*stays[:n], each]
