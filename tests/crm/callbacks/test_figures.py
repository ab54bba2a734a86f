"""Figures of promises: golden ones, from rows made by hand."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from crm import db, ids
from crm.callbacks import figures
from crm.callbacks.figures import Figures
from tests.conftest import Tenant
from tests.crm.callbacks.floor import HOUR, MINUTE, people

SECOND = timedelta(seconds=1)


@pytest.fixture
async def day(tenant: Tenant, now: datetime) -> datetime:
    """A day on which ten people were promised a callback within the hour; its midnight."""
    midnight = now.replace(hour=0, minute=0)
    persons = await people(tenant, 10, now)
    of: list[dict[str, Any]] = [
        {"status": "completed", "first": 60, "reached": 1800},
        {"status": "completed", "first": 120, "reached": 3600},
        {"status": "completed", "first": 180, "reached": 3601},
        {"status": "completed", "reached": 10, "reason": "called_in"},
        {"status": "failed", "first": 240, "reason": "no_answer"},
        {"status": "expired", "reason": "too_late"},
        {"status": "cancelled", "reason": "customer", "first": 999},
        {"status": "cancelled", "reason": "mistake"},
        {"status": "scheduled", "first": 300},
        {"status": "completed", "first": 60, "reached": 61, "queue": "other"},
    ]
    for (contact_id, _), each in zip(persons, of, strict=True):
        await _store(tenant, contact_id, midnight, **each)
    return midnight


async def test_are_the_golden_ones(tenant: Tenant, day: datetime) -> None:
    async with db.transaction(tenant.system) as tx:
        found = await figures.of(tx, day, day + 24 * HOUR, queue="sales", now=day + 12 * HOUR)
        early = await figures.of(tx, day, day + 24 * HOUR, queue="sales", now=day + HOUR)
        everything = await figures.of(tx, day, day + 24 * HOUR, now=day + 12 * HOUR)

    assert found == Figures(requested=8, cancelled_by_customer=1, kept=3, attempted=5, wait_s=900.0, pending=0)
    assert (found.callback_kept_rate, found.callback_wait_s, found.is_mature) == (0.375, 180.0, True)
    assert (early.pending, early.is_mature) == (1, False)
    assert (everything.requested, everything.kept) == (9, 4)


async def test_are_of_the_instants_named_half_open(tenant: Tenant, day: datetime) -> None:
    async with db.transaction(tenant.system) as tx:
        before = await figures.of(tx, day - HOUR, day, now=day)
        first = await figures.of(tx, day, day + SECOND, now=day)

    assert (before, before.callback_kept_rate, before.callback_wait_s) == (Figures(), None, None)
    assert first.requested == 9


async def _store(tenant: Tenant, contact_id: Any, at: datetime, **of: Any) -> None:
    """Store a callback as it stands; seconds count from the request."""
    first, reached = (of.get(name) and at + timedelta(seconds=of[name]) for name in ("first", "reached"))
    ended = None if of["status"] == "scheduled" else at + 2 * HOUR
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "insert into crm.callback (tenant_id, id, contact_id, kind, status, reason, queue, enqueued_at,"
            " promised_from, promised_until, due_at, expires_at, requested_at, first_attempt_at, reached_at, ended_at,"
            " updated_at) values ($1::uuid, $2::uuid, $3::uuid, 'web', $4::text, $5::text, $6::text, $7::timestamptz,"
            " $7::timestamptz, $8::timestamptz, $7::timestamptz, $8::timestamptz, $7::timestamptz, $9::timestamptz,"
            " $10::timestamptz, $11::timestamptz, $7::timestamptz)",
            tenant.id, ids.new(), contact_id, of["status"], of.get("reason"), of.get("queue", "sales"), at,
            at + 60 * MINUTE, first, reached, ended,
        )  # fmt: skip
