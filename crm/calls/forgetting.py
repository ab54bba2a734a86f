"""What was told of calls, and asked of the exchange, is kept for a while only; the calls themselves stay."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from crm import tenant_settings
from crm.db import Tx

KEPT_DAYS = tenant_settings.declare(
    "call.facts_kept_days",
    Annotated[int, Field(ge=7, le=3650)],
    90,
    tr="Santralin anlattıkları ve santrale gönderilen istekler kaç gün saklanır",
    en="Days for which what the exchange told of calls, and what was asked of it, is kept",
)
AT_ONCE = 20_000
"""Rows deleted in one statement."""
FACTS = """
delete from crm.call_fact where ctid in (
  select ctid from crm.call_fact where tenant_id = $1::uuid and heard_at < $2::timestamptz limit $3::int)
"""
ASKS = """
delete from crm.exchange_ask where ctid in (
  select ctid from crm.exchange_ask
   where tenant_id = $1::uuid and asked_at < $2::timestamptz and status not in ('waiting', 'sent') limit $3::int)
"""


async def forget(tx: Tx, *, now: datetime) -> bool:
    """Delete what is older than the firm keeps it, a part at a time; return whether there may be more.

    Long after its end nothing is told of a call any more (`crm.calls.hearing.LATEST`), so that none is told anew from
    half of its facts.
    """
    days: int = await tenant_settings.value(tx, KEPT_DAYS, at=now)
    before = now - timedelta(days=days)
    done = [await tx.execute(sql, tx.actor.tenant_id, before, AT_ONCE) for sql in (FACTS, ASKS)]
    return any(int(each.split()[-1]) == AT_ONCE for each in done)
