"""Attempts of a campaign's past, stored as they would stand now."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from crm import ids
from crm.db import Tx
from tests.conftest import NOW, Tenant
from tests.crm.dialling.floor import do

ATTEMPT = """
insert into crm.dial_attempt (tenant_id, id, campaign_id, entry_id, lead_id, contact_id, call_id, attempt_no, mode,
                              dialed_at, local_hour, local_weekday, answer_p, result, answered_at, ended_at,
                              is_abandoned)
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $4::uuid, $4::uuid, $2::uuid, 1, 'progressive', $5::timestamptz,
        $6::int, 0, $7::float8, $8::text, $9::timestamptz, $10::timestamptz, $11::boolean)
"""
CALL = """
insert into crm.call (tenant_id, id, direction, purpose, status, campaign_id, requested_at, talk_s, wrap_began_at,
                      wrap_ended_at, updated_at)
values ($1::uuid, $2::uuid, 'customer_first', 'campaign', 'ended', $3::uuid, $4::timestamptz, $5::float8,
        $6::timestamptz, $7::timestamptz, $6::timestamptz)
"""


@dataclass(frozen=True)
class Past:
    """One attempt: its result, and how long things took in seconds."""

    result: str | None
    after_s: float = 10.0
    talk_s: float = 0.0
    wrap_s: float = 0.0
    stayed_s: float = 0.0
    is_abandoned: bool = False
    hour: int = 10
    answer_p: float | None = None
    ago: timedelta = timedelta(hours=1)


async def dialled_before(tenant: Tenant, campaign: UUID, pasts: Iterable[Past]) -> None:
    """Store attempts with their calls."""
    attempts, calls = [], []
    for past in pasts:
        which, begun = ids.new(), NOW - past.ago
        after = begun + timedelta(seconds=past.after_s)
        ended = after + timedelta(seconds=past.talk_s + past.stayed_s)
        answered = after if (past.result or "").startswith("live") else None
        attempts.append(
            (tenant.id, which, campaign, ids.new(), begun, past.hour, past.answer_p, past.result, answered,
             ended if past.result else None, past.is_abandoned)
        )  # fmt: skip
        calls.append((tenant.id, which, campaign, begun, past.talk_s, ended, ended + timedelta(seconds=past.wrap_s)))

    async def work(tx: Tx) -> None:
        await tx.executemany(CALL, calls)
        await tx.executemany(ATTEMPT, attempts)

    await do(tenant.system, work)
