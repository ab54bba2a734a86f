"""How promises of callbacks are kept, by when they were made.

`callback_kept_rate` is callbacks reached live by `promised_until`, of callbacks requested; each counts once, over all
its attempts, and those the customer cancelled are left out. `callback_wait_s` is from the request to the first attempt.
As long as a promise may still be kept, the figures are provisional.
"""

from dataclasses import dataclass
from datetime import datetime

from crm.db import Tx

BY_CUSTOMER = "customer"
"""The reason of a cancelling that is no failure of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What adds up: `requested` without what customers cancelled, `kept` and `attempted` of those, waits in seconds.

    `pending`: promises that may still be kept.
    """

    requested: int = 0
    cancelled_by_customer: int = 0
    kept: int = 0
    attempted: int = 0
    wait_s: float = 0.0
    pending: int = 0

    @property
    def callback_kept_rate(self) -> float | None:
        """Kept, of all requested; None: nothing was."""
        return self.kept / self.requested if self.requested else None

    @property
    def callback_wait_s(self) -> float | None:
        """The mean wait for the first attempt, of those attempted; None: none was."""
        return self.wait_s / self.attempted if self.attempted else None

    @property
    def is_mature(self) -> bool:
        """Whether nothing can change any more."""
        return self.pending == 0


FIGURES = """
select count(*) filter (where not c.is_theirs)::int as requested,
       count(*) filter (where c.is_theirs)::int as cancelled_by_customer,
       count(*) filter (where not c.is_theirs and c.reached_at <= c.promised_until)::int as kept,
       count(*) filter (where not c.is_theirs and c.first_attempt_at is not null)::int as attempted,
       coalesce(sum(extract(epoch from c.first_attempt_at - c.requested_at))
                filter (where not c.is_theirs), 0)::float8 as wait_s,
       count(*) filter (where c.ended_at is null and c.promised_until >= $5::timestamptz)::int as pending
  from (select b.*, b.status = 'cancelled' and b.reason = $6::text as is_theirs from crm.callback b
         where b.tenant_id = $1::uuid and b.requested_at >= $2::timestamptz and b.requested_at < $3::timestamptz
           and ($4::text is null or b.queue = $4::text)) c
"""


async def of(tx: Tx, since: datetime, until: datetime, *, queue: str | None = None, now: datetime) -> Figures:
    """Return the figures of callbacks requested from an instant on and before another one (UTC), of a queue or all."""
    row = await tx.fetchrow(FIGURES, tx.actor.tenant_id, since, until, queue, now, BY_CUSTOMER)
    assert row is not None, "counts have a row"
    return Figures(**row)
