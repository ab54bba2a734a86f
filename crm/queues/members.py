"""Who takes a queue's calls on the exchange: as the exchange says, and as it is to be.

What the exchange reports is the truth; an ask is written only where it differs from what is wanted, and again when it
still does after a while. Members that somebody set up on the exchange by hand are left alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from crm import exchange
from crm.db import Tx
from crm.exchange import Kind
from crm.queues import visits

AGAIN = timedelta(seconds=3)
"""How long an ask is waited for before it is made again."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the exchange says of one member (endpoint) of a queue (its name there)."""

    queue: str
    endpoint: str
    is_member: bool
    is_paused: bool


HEAR = """
insert into crm.queue_member as m (tenant_id, queue, endpoint, is_member, is_paused, reported_at)
select $1::uuid, t.queue, t.endpoint, t.is_member, t.is_paused, $6::timestamptz
  from unnest($2::text[], $3::text[], $4::boolean[], $5::boolean[]) as t(queue, endpoint, is_member, is_paused)
    on conflict (tenant_id, queue, endpoint) do update
   set is_member = excluded.is_member, is_paused = excluded.is_paused, reported_at = excluded.reported_at,
       asked_at = null
 where (m.is_member, m.is_paused) is distinct from (excluded.is_member, excluded.is_paused)
"""
GONE = """
update crm.queue_member m set is_member = false, asked_at = null, reported_at = $4::timestamptz
 where m.tenant_id = $1::uuid and m.is_member
   and not exists (select from unnest($2::text[], $3::text[]) as t(queue, endpoint)
                    where t.queue = m.queue and t.endpoint = m.endpoint)
"""


async def hear(tx: Tx, told: Iterable[Told], *, is_whole: bool = False, now: datetime) -> None:
    """Take over what the exchange says of members; `is_whole`: who is not told of is no member (after a new login).

    Plumbing, within the hearing of what the exchange tells: these rows mirror it, the events are the exchange's own.
    """
    last = {(visits.code_of(each.queue), each.endpoint): each for each in told}
    keys = list(zip(*last, strict=True)) or [(), ()]
    flags = [[each.is_member for each in last.values()], [each.is_paused for each in last.values()]]
    if last:
        await tx.execute(HEAR, tx.actor.tenant_id, *map(list, keys), *flags, now)
    if is_whole:
        there = [key for key, each in last.items() if each.is_member]
        queues, endpoints = [key[0] for key in there], [key[1] for key in there]
        await tx.execute(GONE, tx.actor.tenant_id, queues, endpoints, now)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a member of a queue is to be: `is_paused` None where their agent's state does not say; `reason`: our word."""

    penalty: int
    is_paused: bool | None
    reason: str = ""


Key = tuple[str, str]
"""A queue's code and an endpoint."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask of the exchange for one member."""

    kind: Kind
    key: Key
    wanted: Wanted | None


def differences(
    wanted: Mapping[Key, Wanted], there: Mapping[Key, Mapping[str, object]], ours: Collection[str], *, now: datetime
) -> list[Ask]:
    """Return what to ask so that the members there become those wanted. `ours`: the endpoints of our agents.

    Pure. What was asked a moment ago is not asked again; strangers stay as they are.
    """
    asks: list[Ask] = []
    for key, how in wanted.items():
        row = there.get(key)
        if row is not None and _is_recent(row["asked_at"], now):
            continue
        if row is None or not row["is_member"]:
            asks.append(Ask(Kind.queue_add, key, how))
            continue
        if row["penalty"] != how.penalty or not row["is_ours"]:
            asks.append(Ask(Kind.queue_penalty, key, how))
        if how.is_paused not in (None, row["is_paused"]):
            asks.append(Ask(Kind.queue_pause, key, how))
    for key, row in there.items():
        is_one_of_ours = row["is_ours"] or key[1] in ours
        if key not in wanted and row["is_member"] and is_one_of_ours and not _is_recent(row["asked_at"], now):
            asks.append(Ask(Kind.queue_remove, key, None))
    return asks


def _is_recent(at: object, now: datetime) -> bool:
    return isinstance(at, datetime) and now - at < AGAIN


ASKED = """
insert into crm.queue_member as m (tenant_id, queue, endpoint, penalty, is_ours, asked_at)
values ($1::uuid, $2::text, $3::text, $4::int, true, $5::timestamptz)
    on conflict (tenant_id, queue, endpoint) do update
   set penalty = excluded.penalty, is_ours = true, asked_at = excluded.asked_at
"""


async def request(tx: Tx, asks: Iterable[Ask], *, now: datetime) -> None:
    """Write asks, and that they were made. Within steering."""
    for each in asks:
        queue, endpoint = each.key
        args: dict[str, object] = {"queue": queue, "endpoint": endpoint}
        if each.wanted is not None and each.kind is not Kind.queue_pause:
            args["penalty"] = each.wanted.penalty
        if each.wanted is not None and each.kind is not Kind.queue_penalty:
            args["is_paused"] = bool(each.wanted.is_paused)
            args["reason"] = each.wanted.reason
        await exchange.ask(tx, each.kind, args, now=now)
        if each.kind is Kind.queue_remove:
            await _mark(tx, queue, endpoint, now)
        else:
            assert each.wanted is not None, "only a removal wants nothing"
            await tx.execute(ASKED, tx.actor.tenant_id, queue, endpoint, each.wanted.penalty, now)


async def _mark(tx: Tx, queue: str, endpoint: str, now: datetime) -> None:
    await tx.execute(
        "update crm.queue_member set asked_at = $4::timestamptz"
        " where tenant_id = $1::uuid and queue = $2::text and endpoint = $3::text",
        tx.actor.tenant_id, queue, endpoint, now,
    )  # fmt: skip


async def there(tx: Tx) -> dict[Key, asyncpg.Record]:
    """Return what is known of everybody who is a member or was asked to become one, by queue and endpoint."""
    rows = await tx.fetch(
        "select queue, endpoint, is_member, is_paused, penalty, is_ours, asked_at, reported_at from crm.queue_member"
        " where tenant_id = $1::uuid and (is_member or asked_at is not null)",
        tx.actor.tenant_id,
    )
    return {(row["queue"], row["endpoint"]): row for row in rows}


SIGNED_ON = """
select s.user_id, s.endpoint, u.team_id, i.state, i.reason,
       (select p.value from crm.user_profile p where p.tenant_id = $1::uuid and p.user_id = s.user_id
           and p.field = 'skills' and p.valid_from <= $2::timestamptz
         order by p.valid_from desc, p.id desc limit 1) as skills
  from crm.agent_session s
  join crm.user_account u on u.tenant_id = $1::uuid and u.id = s.user_id
 cross join lateral (
   select state, reason from crm.agent_state
    where tenant_id = $1::uuid and session_id = s.id and ended_at is null limit 1) i
 where s.tenant_id = $1::uuid and s.ended_at is null
 order by s.user_id
"""


async def signed_on(tx: Tx, *, at: datetime) -> list[asyncpg.Record]:
    """Return who is signed on at the telephone: user, endpoint, team, state and skills as of an instant (UTC)."""
    return await tx.fetch(SIGNED_ON, tx.actor.tenant_id, at)


async def endpoints(tx: Tx) -> set[str]:
    """Return the endpoints of all agents, signed on or not."""
    rows = await tx.fetch("select endpoint from crm.agent where tenant_id = $1::uuid", tx.actor.tenant_id)
    return {row["endpoint"] for row in rows}
