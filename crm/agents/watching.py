"""What comes by itself: wrap-ups that run out, agents who are heard of no more, accounts that are closed.

Each change is dated to the instant at which it was due, not to the look that found it: late looks come to the same.
"""

from datetime import datetime, timedelta

from crm import tenant_settings
from crm.agents import rules, settings, states
from crm.agents.rules import Pending, State
from crm.agents.states import Held
from crm.db import Tx
from crm.operation import operation

BATCH = 100
DEACTIVATED = "deactivated"

ENDS = """
least(i.until, s.last_beat_at + case when i.state in ('available', 'wrap_up', 'paused') then $2::interval
                                     when i.state <> 'on_call' then $3::interval end)
"""
OPEN = """
  from crm.agent_session s
  join crm.agent_state i on i.tenant_id = s.tenant_id and i.session_id = s.id and i.ended_at is null
  join crm.user_account u on u.tenant_id = s.tenant_id and u.id = s.user_id
 where s.tenant_id = $1::uuid and s.ended_at is null
"""
DUE = f"""
select s.user_id, u.is_active {OPEN}
   and (not u.is_active and s.pending is distinct from 'offline' or {ENDS} <= $4::timestamptz)
 order by s.user_id limit {BATCH} for no key update of s skip locked
"""
NEXT = f"select min({ENDS}) {OPEN}"


@operation("agent.watch")
async def sweep(tx: Tx, *, now: datetime) -> int:
    """Make the changes that are due of at most `BATCH` agents, and return of how many; safe to repeat, and in parallel.

    Sessions that somebody else is changing are left for the next look.
    """
    silent_after = await _silent_after(tx, now)
    due = await tx.fetch(DUE, tx.actor.tenant_id, silent_after, rules.LOST_AFTER, now)
    for row in due:
        held = await states.lock(tx, row["user_id"])
        if held is not None:
            await _catch_up(tx, held, silent_after=silent_after, is_active=row["is_active"], now=now)
    if not due:
        tx.unchanged()
    return len(due)


async def next_moment(tx: Tx, now: datetime) -> datetime | None:
    """Return the earliest instant (UTC) at which something may be due; None: nobody is signed on."""
    at: datetime | None = await tx.fetchval(
        NEXT, tx.actor.tenant_id, await _silent_after(tx, now), rules.LOST_AFTER
    )  # fmt: skip
    return at


async def _silent_after(tx: Tx, now: datetime) -> timedelta:
    seconds: int = await tenant_settings.value(tx, settings.SILENT_AFTER, at=now)
    return timedelta(seconds=seconds)


async def _catch_up(tx: Tx, held: Held, *, silent_after: timedelta, is_active: bool, now: datetime) -> None:
    """Make every change of a session that was due by now, one after the other."""
    if not is_active and await _close(tx, held, now=now):
        return
    coming = rules.next_change(held.standing, last_beat_at=held.last_beat_at, silent_after=silent_after)
    while coming is not None and coming[0] <= now:
        at, new = coming
        await states.enter(tx, held, new, at=at, now=now, is_sign_of_life=False)
        again = await states.lock(tx, held.user_id)
        if again is None:
            return
        held = again
        coming = rules.next_change(held.standing, last_beat_at=held.last_beat_at, silent_after=silent_after)


async def _close(tx: Tx, held: Held, *, now: datetime) -> bool:
    """Sign somebody off whose account is closed; in a call, when it is over. Return whether that is new."""
    if held.standing.state not in rules.BUSY:
        await states.end(tx, held, reason=DEACTIVATED, now=now)
        return True
    new = rules.wish(held.standing, Pending(State.offline, DEACTIVATED))
    if new is not None:
        await states.enter(tx, held, new, now=now, is_sign_of_life=False)
    return new is not None
