"""What the guard reads: a campaign's attempts, live answers and abandonments, counted by the hour they were dialled."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from crm.db import Tx
from crm.dialling import schedule
from crm.dialling.guard import Count, Window

MONTH = timedelta(days=30)

ADD = """
insert into crm.dial_budget as b (tenant_id, campaign_id, hour, attempts, blocked, answered, abandoned)
values ($1::uuid, $2::uuid, date_trunc('hour', $3::timestamptz, 'UTC'), $4::int, $5::int, $6::int, $7::int)
    on conflict (tenant_id, campaign_id, hour) do update
   set attempts = b.attempts + excluded.attempts, blocked = b.blocked + excluded.blocked,
       answered = b.answered + excluded.answered, abandoned = b.abandoned + excluded.abandoned
"""


async def add(
    tx: Tx, campaign_id: UUID, dialed_at: datetime, *, attempts: int = 0, blocked: int = 0, answered: int = 0,
    abandoned: int = 0,
) -> None:  # fmt: skip
    """Count more (or, corrected, fewer) in the hour of an attempt, within the operation that learns of it."""
    await tx.execute(ADD, tx.actor.tenant_id, campaign_id, dialed_at, attempts, blocked, answered, abandoned)


COUNTED = """
select coalesce(sum(answered) filter (where hour >= $3::timestamptz), 0)::int as shift_answered,
       coalesce(sum(abandoned) filter (where hour >= $3::timestamptz), 0)::int as shift_abandoned,
       coalesce(sum(answered), 0)::int as month_answered, coalesce(sum(abandoned), 0)::int as month_abandoned
  from crm.dial_budget
 where tenant_id = $1::uuid and campaign_id = $2::uuid and hour >= least($3::timestamptz, $4::timestamptz)
"""


async def counts(tx: Tx, campaign_id: UUID, timezone: str, *, now: datetime) -> Mapping[Window, Count]:
    """Return the live answers of the shift (the campaign's own day) and of the last 30 days, whole hours."""
    day = schedule.shift_began(now, timezone)
    hour = day.astimezone(UTC).replace(minute=0)
    row = await tx.fetchrow(COUNTED, tx.actor.tenant_id, campaign_id, hour, now - MONTH)
    assert row is not None, "sums are one row"
    return {
        Window.shift: Count(row["shift_answered"], row["shift_abandoned"]),
        Window.month: Count(row["month_answered"], row["month_abandoned"]),
    }
