"""What the exchange says of an agent's pauses, followed where somebody else paused, set right where it went astray.

Our own words come back as an echo, and change nothing. A pause made at the telephone or in the exchange is the agent's
pause here too; one that the exchange forgot, or never heard of, it is asked for again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from crm import events
from crm.agents import rules, states
from crm.agents.rules import By, State
from crm.agents.states import OURS, QUEUE_PAUSED, Held
from crm.db import Tx
from crm.operation import operation

ON_ITS_WAY = timedelta(seconds=30)
"""How long an ask that nobody has answered counts as still on its way."""

FOLLOWED = frozenset({State.paused, State.wrap_up})
"""The states that an unpausing at the telephone ends; a call it does not."""

KNOWN = """
select a.user_id, i.state, m.is_paused,
       exists (select from crm.exchange_ask e
                where e.tenant_id = $1::uuid and e.status in ('waiting', 'sent') and e.kind = 'queue_pause'
                  and e.args ->> 'endpoint' = $2::text and e.asked_at > $4::timestamptz) as is_asked
  from crm.agent a
  left join crm.agent_session s on s.tenant_id = a.tenant_id and s.user_id = a.user_id and s.ended_at is null
  left join crm.agent_state i on i.tenant_id = a.tenant_id and i.session_id = s.id and i.ended_at is null
  left join crm.agent_mirror m on m.tenant_id = a.tenant_id and m.endpoint = a.endpoint and m.queue = $3::text
 where a.tenant_id = $1::uuid and a.endpoint = $2::text
"""
KEEP = """
insert into crm.agent_mirror as m (tenant_id, endpoint, queue, is_paused, heard_at)
values ($1::uuid, $2::text, $3::text, $4::bool, $5::timestamptz)
on conflict (tenant_id, endpoint, queue) do update set is_paused = excluded.is_paused, heard_at = excluded.heard_at
 where m.is_paused <> excluded.is_paused
"""


@operation("agent.mirror")
async def left(tx: Tx, endpoint: str, queue: str, *, now: datetime) -> None:
    """Forget what the exchange said of an endpoint in a queue that it has left."""
    await tx.execute(
        "delete from crm.agent_mirror where tenant_id = $1::uuid and endpoint = $2::text and queue = $3::text",
        tx.actor.tenant_id, endpoint, queue,
    )  # fmt: skip
    tx.unchanged()


@operation("agent.mirror")
async def keep_only(tx: Tx, there: Iterable[tuple[str, str]], *, now: datetime) -> None:
    """Forget what the exchange said of any other endpoints and queues than these: it knows of no others now."""
    pairs = list(there)
    await tx.execute(
        "delete from crm.agent_mirror m where m.tenant_id = $1::uuid and not exists (select from"
        " unnest($2::text[], $3::text[]) as t(endpoint, queue) where t.endpoint = m.endpoint and t.queue = m.queue)",
        tx.actor.tenant_id, [endpoint for endpoint, _ in pairs], [queue for _, queue in pairs],
    )  # fmt: skip
    tx.unchanged()


@operation("agent.mirror")
async def heard(tx: Tx, endpoint: str, is_paused: bool, reason: str, *, queue: str = "", now: datetime) -> bool:
    """Take what the exchange says of an endpoint in a queue; return whether the agent's state changed, or we ask again.

    `reason`: the exchange's word for the pause; it is compared with ours and not kept. Endpoints of nobody are none of
    our business; of agents who are not signed on it is kept, and nothing done.
    """
    if is_paused and reason == QUEUE_PAUSED:
        tx.unchanged()
        return False
    known = await tx.fetchrow(KNOWN, tx.actor.tenant_id, endpoint, queue, now - ON_ITS_WAY)
    if known is None:
        tx.unchanged()
        return False
    before: bool | None = known["is_paused"]
    if before is not is_paused:
        await tx.execute(KEEP, tx.actor.tenant_id, endpoint, queue, is_paused, now)
    wanted = None if known["state"] is None else rules.is_paused_there(State(known["state"]))
    is_settled = wanted in (None, is_paused) or known["is_asked"]
    held = None if is_settled else await states.lock(tx, known["user_id"])
    if held is None or rules.is_paused_there(held.standing.state) in (None, is_paused):
        tx.unchanged()
        return False
    is_theirs = not reason.startswith(OURS) and (is_paused or before is True) and before is not is_paused
    if not (is_theirs and await _follow(tx, held, is_paused, now=now)):
        await _ask_again(tx, held, now=now)
    return True


async def _follow(tx: Tx, held: Held, is_paused: bool, *, now: datetime) -> bool:
    """Let the agent stand as somebody else has decided at the exchange; False when the state forbids it."""
    if is_paused:
        new = rules.step(held.standing, State.paused, by=By.system, reason=rules.EXCHANGE)
    elif held.standing.state in FOLLOWED:
        new = rules.step(held.standing, State.available, by=By.system)
    else:
        new = None
    if new is None:
        return False
    await states.enter(tx, held, new, now=now, is_sign_of_life=False)
    return True


async def _ask_again(tx: Tx, held: Held, *, now: datetime) -> None:
    """Ask the exchange once more for what it forgot, or was never told in time."""
    await states.ask_pause(tx, held.endpoint, held.standing, now=now)
    detail = {"team_id": held.team_id, "session_id": held.session_id, "state": held.standing.state.value}
    await events.record(tx, "agent", held.user_id, "agent.mirror_repeated", detail, at=now)
