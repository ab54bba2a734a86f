"""What changes queues: making, setting and retiring them. Settings are dated: the past stays as it was."""

from datetime import datetime
from uuid import UUID

import asyncpg

from crm import audit, codes, errors, events, ids
from crm.db import Tx
from crm.operation import operation
from crm.queues.rules import Settings, Way

SPECIAL = frozenset({"a", "e", "h", "i", "o", "s", "t", "failed", "fax", "talk"})
"""Extensions that Asterisk runs by itself, at the end of a call for instance: a queue of such a name would be entered.
https://docs.asterisk.org/Configuration/Dialplan/Special-Dialplan-Extensions/."""


class UnknownQueue(errors.NotFound):
    """There is no such queue."""

    code = "queue.not_found"


class CodeTaken(errors.Conflict):
    """A queue of this code exists, or existed."""

    code = "queue.code_taken"


class BadQueue(errors.Invalid):
    """A queue cannot be set like this."""

    code = "queue.invalid"


class Retired(errors.Conflict):
    """This queue is retired."""

    code = "queue.retired"


class InUse(errors.Conflict):
    """Callers wait in this queue, or other queues send theirs to it."""

    code = "queue.in_use"


@operation("queue.manage")
async def create(tx: Tx, *, code: str, settings: Settings, now: datetime) -> UUID:
    """Make a queue, in use from now on; return its id. Its code is its name on the exchange and never changes.

    :raises CodeTaken: when there is, or was, one of that code.
    :raises BadQueue: when the code means something to the exchange, or a team or queue of its settings is not there.
    """
    codes.require(code=code)
    if code in SPECIAL:
        raise BadQueue(fields={"code": "means something of its own to the exchange"})
    await _require_sound(tx, code, settings)
    queue_id = ids.new()
    made = await tx.fetchval(
        "insert into crm.queue (tenant_id, id, code, created_by, created_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::uuid, $5::timestamptz)"
        " on conflict (tenant_id, code) do nothing returning true",
        tx.actor.tenant_id, queue_id, code, tx.actor.user_id, now,
    )  # fmt: skip
    if not made:
        raise CodeTaken(fields={"code": "in use, or retired"})
    await _insert_version(tx, queue_id, settings, valid_from=now, now=now)
    await _note(tx, queue_id, "queue.created", now, code=code)
    return queue_id


@operation("queue.manage")
async def change(
    tx: Tx, queue_id: UUID, settings: Settings, *, valid_from: datetime | None = None, now: datetime
) -> None:
    """Set a queue anew from an instant on (default: now, never earlier); who came before is judged by what held then.

    :raises UnknownQueue: when there is none.
    :raises Retired: when it is retired.
    :raises BadQueue: when a team or another queue is not there, or it is to hold in the past.
    """
    begins = valid_from or now
    if begins < now:
        raise BadQueue(fields={"valid_from": "what held in the past stays as it was"})
    row = await lock(tx, queue_id)
    await _require_sound(tx, row["code"], settings)
    holds = await tx.fetchrow(
        "select settings, valid_from from crm.queue_version where tenant_id = $1::uuid and queue_id = $2::uuid"
        " and valid_from <= $3::timestamptz order by valid_from desc, id desc limit 1",
        tx.actor.tenant_id, queue_id, begins,
    )  # fmt: skip
    # A plan that says what holds then anyway is kept: somebody may still plan otherwise for a time before it.
    if holds and Settings.model_validate(holds["settings"]) == settings and begins in (now, holds["valid_from"]):
        tx.unchanged()
        return
    await _insert_version(tx, queue_id, settings, valid_from=begins, now=now)
    await _note(tx, queue_id, "queue.changed", now, code=row["code"], valid_from=begins)


@operation("queue.manage")
async def retire(tx: Tx, queue_id: UUID, *, now: datetime) -> None:
    """Take a queue out of use, for good: its history stays, its code is not given again.

    :raises UnknownQueue: when there is none.
    :raises Retired: when it is retired already.
    :raises InUse: when callers wait in it, or other queues send theirs there.
    """
    row = await lock(tx, queue_id)
    if await _is_in_use(tx, row["code"], now):
        raise InUse
    await tx.execute(
        "update crm.queue set retired_at = $3::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, queue_id, now,
    )  # fmt: skip
    await _note(tx, queue_id, "queue.retired", now, code=row["code"])


async def lock(tx: Tx, queue_id: UUID) -> asyncpg.Record:
    """Return a queue's row, locked.

    :raises UnknownQueue: when there is none.
    :raises Retired: when it is retired.
    """
    row = await tx.fetchrow(
        "select id, code, retired_at from crm.queue where tenant_id = $1::uuid and id = $2::uuid for no key update",
        tx.actor.tenant_id, queue_id,
    )  # fmt: skip
    if row is None:
        raise UnknownQueue
    if row["retired_at"] is not None:
        raise Retired
    return row


WAYS = """
select q.code, v.settings from crm.queue q
 cross join lateral (
   select settings, valid_from from crm.queue_version v where v.tenant_id = $1::uuid and v.queue_id = q.id
      and (v.valid_from > $2::timestamptz or v.id = (
        select l.id from crm.queue_version l where l.tenant_id = $1::uuid and l.queue_id = q.id
           and l.valid_from <= $2::timestamptz order by l.valid_from desc, l.id desc limit 1))
 ) v
 where q.tenant_id = $1::uuid and q.retired_at is null and q.code <> $3::text
"""


async def _is_in_use(tx: Tx, code: str, now: datetime) -> bool:
    """Tell whether callers wait in a queue, or another one sends them there, now or as is planned."""
    if await tx.fetchval(
        "select exists (select from crm.queue_visit where tenant_id = $1::uuid and queue = $2::text"
        " and outcome = 'waiting' and left_at is null)",
        tx.actor.tenant_id, code,
    ):  # fmt: skip
        return True
    rows = await tx.fetch(WAYS, tx.actor.tenant_id, now, code)
    return any(code in queues_of(Settings.model_validate(row["settings"])) for row in rows)


def ways(settings: Settings) -> list[tuple[str, Way]]:
    """Return every way out that settings name, with the field that names it."""
    found = [(f"overflow.{n}.way", rule.way) for n, rule in enumerate(settings.overflow)]
    found.append(("last_resort", settings.last_resort))
    return found + ([("when_closed", settings.when_closed)] if settings.when_closed else [])


def queues_of(settings: Settings) -> set[str]:
    """Return the codes of the queues that settings send callers to."""
    return {way.queue for _, way in ways(settings) if way.queue is not None}


async def _require_sound(tx: Tx, code: str, settings: Settings) -> None:
    """:raises BadQueue: when settings name a team or a queue that is not there, or the queue itself."""
    teams = {f"rings.{n}.teams": set(ring.teams) for n, ring in enumerate(settings.rings)}
    teams["team_id"] = {settings.team_id} if settings.team_id else set()
    wanted = set().union(*teams.values())
    rows = await tx.fetch(
        "select t.id from unnest($2::uuid[]) as w(id) join crm.team t on t.tenant_id = $1::uuid and t.id = w.id",
        tx.actor.tenant_id, list(wanted),
    )  # fmt: skip
    there = {row["id"] for row in rows}
    wrong = {field: "no such team" for field, named in teams.items() if named - there}
    rows = await tx.fetch(
        "select q.code from unnest($2::text[]) as w(code) join crm.queue q on q.tenant_id = $1::uuid"
        " and q.code = w.code where q.retired_at is null and q.code <> $3::text",
        tx.actor.tenant_id, list(queues_of(settings)), code,
    )  # fmt: skip
    others = {row["code"] for row in rows}
    wrong |= {f"{field}.queue": "no other queue of that code" for field, way in ways(settings)
              if way.queue is not None and way.queue not in others}  # fmt: skip
    if wrong:
        raise BadQueue(fields=wrong)


async def _insert_version(tx: Tx, queue_id: UUID, settings: Settings, *, valid_from: datetime, now: datetime) -> None:
    await tx.execute(
        "insert into crm.queue_version (tenant_id, id, queue_id, valid_from, settings, set_by, created_at)"
        " values ($1::uuid, $2::uuid, $3::uuid, $4::timestamptz, $5::jsonb, $6::uuid, $7::timestamptz)",
        tx.actor.tenant_id, ids.new(), queue_id, valid_from, settings.model_dump_json(), tx.actor.user_id, now,
    )  # fmt: skip


async def _note(tx: Tx, queue_id: UUID, what: str, now: datetime, **detail: object) -> None:
    await events.record(tx, "queue", queue_id, what, detail, at=now)
    await audit.of_person(tx, what, "queue", queue_id, detail, at=now)
