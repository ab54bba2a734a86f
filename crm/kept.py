"""Answers that were slow to find, kept in this process until anything happens in their tenant.

Every change of the business writes an event in its own transaction. An answer is kept with the snapshot it was found
under; before it is given again the event log is asked whether any event of the tenant became visible since. That costs
about as much as a quick page, so only what was slow is kept. Nothing stale is served, with two exceptions in which an
answer may be old by `GOOD_FOR` seconds at most: a server that crashed gives forgotten transaction ids again; and the
label of a status changes at an instant that was set for it earlier. What changes without an event is not kept at all.
"""

import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import asyncpg

from crm.db import Tx

GOOD_FOR = 30.0
"""Seconds an answer is kept at most."""
SLOW = 0.01
"""Seconds a statement must have taken for its answer to be kept."""
MOST = 256
"""Answers kept by one process."""

# A rare value and a frequent one want different plans: one that serves every value would be bad for most of them.
BEGIN = "select pg_current_snapshot()::text from set_config('plan_cache_mode', 'force_custom_plan', true)"
UNCHANGED = "select crm.unchanged_since($1::text::pg_snapshot)"


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, the snapshot that was taken before they were read, and when that was."""

    rows: list[asyncpg.Record]
    seen: str
    at: float


_answers: OrderedDict[Hashable, Answer] = OrderedDict()


async def fetch(tx: Tx, sql: str, *args: Any) -> list[asyncpg.Record]:
    """Return the rows of a reading statement of one tenant, planned for its values.

    The statement and its arguments say all that the rows depend on (who asks and when, too), beside the tenant. A
    transaction that has changed something reads for itself.
    """
    if tx.events:
        return await read(tx, sql, *args)
    key = (tx.actor.tenant_id, sql, tuple(tuple(each) if isinstance(each, list) else each for each in args))
    kept = _answers.get(key)
    if kept and time.monotonic() - kept.at < GOOD_FOR and await tx.fetchval(UNCHANGED, kept.seen):
        _answers.move_to_end(key)
        return kept.rows
    begun, seen = time.monotonic(), await tx.fetchval(BEGIN)
    rows = await tx.fetch(sql, *args)
    _answers.pop(key, None)
    if time.monotonic() - begun >= SLOW:
        _answers[key] = Answer(rows, seen, begun)
        while len(_answers) > MOST:
            _answers.popitem(last=False)
    return rows


async def read(tx: Tx, sql: str, *args: Any) -> list[asyncpg.Record]:
    """Return the rows of a reading statement planned for its values, as they are now."""
    await tx.fetchval(BEGIN)
    return await tx.fetch(sql, *args)


def forget() -> None:
    """Forget everything kept, as a process that just started."""
    _answers.clear()
