"""Calls through the real operations, with every number worked out by hand.

The golden day (KPI.md, section 9) is told by another system's records, the rest by stays that an exchange tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from crm import db, events
from crm.calls import hearing, history
from crm.calls import rows as call_rows
from crm.calls.facts import (
    AgentCalled,
    AgentConnected,
    BridgeEntered,
    BridgeLeft,
    DialBegan,
    Fact,
    Held,
    LegAnswered,
    LegEnded,
    LegStarted,
    QueueAbandoned,
    QueueJoined,
    Transferred,
    Unheld,
)
from crm.calls.history import PastCall
from crm.calls.story import Outcome
from crm.queues import visits
from crm.queues.visits import Stay
from tests.conftest import Tenant
from tests.crm.calls import factory
from tests.crm.queues.factory import make_call

DAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
"""Nine in the morning in Istanbul."""

GOLDEN = {
    "service_level": 81.90, "service_level_strict": 81.13, "service_level_credit": 83.02,
    "service_level_answered": 86.00, "service_level_ignore_sl_abandons": 82.69, "abandonment_rate": 4.76,
}  # fmt: skip
"""Percent."""
FIGURES = {
    "offered": 1060, "answered": 1000, "abandoned": 60, "short_abandons": 10, "service_level": 860 / 1050,
    "service_level_strict": 860 / 1060, "service_level_credit": 880 / 1060, "service_level_answered": 860 / 1000,
    "service_level_ignore_sl_abandons": 860 / 1040, "asa_s": (860 * 20 + 140 * 30) / 1000, "wait_p50": 20,
    "wait_p90": 30, "abandonment_rate": 50 / 1050, "abandonment_rate_gross": 60 / 1060,
    "avg_abandon_wait_s": (10 * 20 + 40 * 90) / 50,
}  # fmt: skip
"""Of the same day, and what the percentages are made of."""


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


async def tell(tenant: Tenant, at: datetime, *stays: dict[str, Any], lead_id: UUID | None = None) -> UUID:
    """Let a call come in and have stays in queues; return it."""
    async with db.transaction(tenant.system) as tx:
        call_id = await make_call(tx, now=at, lead_id=lead_id)
        await events.record(
            tx, "call", call_id, "call.arrived", call_rows.payload(await call_rows.lock(tx, call_id)), at=at
        )
        for told in _as_told([stay(at, **each) for each in stays]):
            await visits.keep(tx, call_id, told, now=at)
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


@dataclass
class Line:
    """A customer's call, told fact by fact; times are seconds since it came in."""

    tenant: Tenant
    call_id: UUID
    start: datetime

    @classmethod
    async def begin(cls, tenant: Tenant, start: datetime, **changed: Any) -> "Line":
        """Let a call come in."""
        nothing = dict.fromkeys(["answered_at", "connected_at", "ended_at", "started_at"])
        values = {"direction": "inbound", "purpose": "inbound", "status": "ringing", "outcome": "open", **nothing}
        call_id = await factory.make_call(tenant, start, **{**values, "requested_at": start, **changed})
        return cls(tenant, call_id, start)

    async def hear(self, s: float, *facts: Fact) -> None:
        """Tell facts, when so many seconds have passed."""
        at = self.at(s)
        await db.run(self.tenant.system, lambda tx: hearing.hear(tx, facts, now=at))

    def at(self, s: float) -> datetime:
        """Return the instant so many seconds after the call came in."""
        return self.start + timedelta(seconds=s)

    def of(self, s: float, leg: str = "") -> dict[str, Any]:
        """Return what every fact of a leg (default: the customer's) says."""
        return {"call_id": str(self.call_id), "leg_id": leg or str(self.call_id), "at": self.at(s)}

    def comes(self, queue: str = "sales") -> list[Fact]:
        """The customer calls, is answered by the menu and enters a queue after a second."""
        return [LegStarted(**self.of(0)), LegAnswered(**self.of(0.5)), *self.waits(1, queue)]

    def waits(self, s: float, queue: str = "sales") -> list[Fact]:
        """The customer enters a queue."""
        return [QueueJoined(**self.of(s), queue=queue, position=1)]

    def connects(self, s: float, leg: str, *, queue: str = "sales", bridge: str = "b1") -> list[Fact]:
        """An agent's telephone rings for two seconds, and the customer speaks with them."""
        who = {"queue": queue, "interface": f"PJSIP/{leg}", "agent_leg": leg}
        return [
            AgentCalled(**self.of(s - 2), **who), LegStarted(**self.of(s - 2, leg), interface=f"PJSIP/{leg}"),
            LegAnswered(**self.of(s, leg)), AgentConnected(**self.of(s), **who, waited_s=s, ring_s=2),
            BridgeEntered(**self.of(s), bridge_id=bridge), BridgeEntered(**self.of(s, leg), bridge_id=bridge),
        ]  # fmt: skip

    def asks(self, s: float, leg: str, other: str) -> list[Fact]:
        """The customer is on hold, and an agent speaks with another one after four seconds."""
        return [
            Held(**self.of(s, leg)), DialBegan(**self.of(s + 2, other), by_leg=leg),
            LegStarted(**self.of(s + 2, other), interface=f"PJSIP/{other}"), LegAnswered(**self.of(s + 4, other)),
        ]  # fmt: skip

    def gives(self, s: float, leg: str, *, is_attended: bool, bridge: str = "b1") -> list[Fact]:
        """An agent gives the customer away, and is gone."""
        held = [Unheld(**self.of(s, leg))] if is_attended else []
        given = Transferred(**self.of(s, leg), is_attended=is_attended, has_succeeded=True)
        return [*held, given, BridgeLeft(**self.of(s), bridge_id=bridge), self.goes(s, leg)]

    def speaks(self, s: float, leg: str, bridge: str) -> list[Fact]:
        """The customer speaks with whoever they were given to."""
        return [BridgeEntered(**self.of(s), bridge_id=bridge), BridgeEntered(**self.of(s, leg), bridge_id=bridge)]

    def gives_up(self, s: float, queue: str = "sales") -> list[Fact]:
        """The customer hangs up in a queue."""
        return [QueueAbandoned(**self.of(s), queue=queue, waited_s=s - 1), self.goes(s)]

    def goes(self, s: float, leg: str = "") -> Fact:
        """A leg (default: the customer's) is no more."""
        return LegEnded(**self.of(s, leg), cause=16, was_up=True)
