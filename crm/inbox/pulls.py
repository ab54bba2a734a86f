"""Pulls: leads asked for again from their source, for a window of time, and landed in the inbox where they are missing.

A page of leads and the place from which the next one is asked for are stored in one transaction. A lead that is landed
is sealed before anything is read from it; one that cannot be read then is a dead letter. So a checkpoint stands behind
leads that are stored or dead letters, never beyond one that was neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, jobs
from crm.db import Tx
from crm.inbox import connections
from crm.inbox import operations as inbox
from crm.inbox.connections import Source
from crm.operation import operation

TASK = "inbox.pull"
OVERLAP = timedelta(hours=6)
"""How far behind its checkpoint a reconcile begins: sources tell some leads late."""
SETTLED = timedelta(minutes=5)
"""What is younger is left for the webhook, which is under way perhaps."""
FORGOTTEN = timedelta(hours=6)
"""How long nobody has touched a pull whose job must be gone."""
LATE = timedelta(minutes=5)
"""How long a pull that was put off waits at most once its source answers others again."""
FIRST_WINDOW = timedelta(days=7)
"""How far back the first reconcile of a connection goes."""
NEAR = timedelta(days=1)
"""How far apart the same submission's times may be when it is told by webhook and by pull."""
COLUMNS = (
    "id, connection_id, kind, form, page, since, until, status, attempts, read, landed, known, last_error, created_at,"
    " updated_at, finished_at"
)


class Kind(StrEnum):
    """Why leads are asked for again: somebody wants a window of time, or it is done regularly."""

    backfill = "backfill"
    reconcile = "reconcile"


class UnknownPull(errors.NotFound):
    """There is no such pull."""

    code = "pull.not_found"


class CannotPull(errors.Invalid):
    """This connection's leads cannot be asked for like this."""

    code = "pull.invalid"


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull as it stands. Instants are UTC; `cursor` is the source's own word for the place of the next page.

    `page`: the outside id of the page that the form belongs to, once the source was asked (Meta).
    """

    id: UUID
    connection_id: UUID
    kind: Kind
    form: str | None
    page: str | None
    since: datetime
    until: datetime
    cursor: str | None
    status: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Told:
    """One lead as a source told it: the body to land, and what it may be known by already."""

    body: bytes
    external_id: str | None
    gclid: str | None = None
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some leads of a pull. `cursor`: where the next page begins, None after the last one.

    `position`: up to when (UTC) everything the source had was told with this page.
    """

    leads: Sequence[Told]
    cursor: str | None
    position: datetime | None = None
    pause: timedelta | None = None


@operation("connection.manage")
async def backfill(
    tx: Tx, connection_id: UUID, *, form: str | None = None, since: datetime, until: datetime, now: datetime
) -> UUID:
    """Have the leads of a window (UTC, `until` not included) asked for again and return the pull's id.

    Meta is asked form by form; Google tells the leads of all forms at once.

    :raises connections.UnknownConnection: when there is none.
    :raises CannotPull: when the window is empty, the form is missing, or the connection's secrets do not suffice.
    """
    connection = await connections.load(tx, connection_id)
    fields = {}
    if until <= since:
        fields["until"] = "must be after since"
    if connection.source is Source.meta and not (form and form.isascii() and form.isdigit()):
        fields["form"] = "the id of the form, digits"
    if connection.source is Source.google and form:
        fields["form"] = "Google tells the leads of all forms at once"
    if connection.source is Source.google and not connection.has_access:
        fields["connection_id"] = "it has no access to the Ads API"
    if fields:
        told = "; ".join(f"{field}: {sentence}" for field, sentence in fields.items())
        raise CannotPull(f"the leads cannot be asked for like this: {told}", fields=fields)
    pull_id = await _open(tx, connection_id, Kind.backfill, form, since, until, now)
    detail = {"connection_id": connection_id, "form": form, "since": since, "until": until}
    await audit.of_person(tx, "pull.started", "pull", pull_id, detail, at=now)
    return pull_id


@operation("inbox.process")
async def reconcile(tx: Tx, connection_id: UUID, *, now: datetime) -> UUID | None:
    """Have everything since the connection's checkpoint asked for again; None while that is being done already."""
    running = await tx.fetchval(
        "select exists (select from crm.pull where tenant_id = $1::uuid and connection_id = $2::uuid"
        " and kind = 'reconcile' and status = 'running')",
        tx.actor.tenant_id, connection_id,
    )  # fmt: skip
    if running:
        tx.unchanged()
        return None
    reached = await checkpoint(tx, connection_id)
    since = reached - OVERLAP if reached else now - FIRST_WINDOW
    return await _open(tx, connection_id, Kind.reconcile, None, since, now - SETTLED, now)


async def _open(
    tx: Tx, connection_id: UUID, kind: Kind, form: str | None, since: datetime, until: datetime, now: datetime
) -> UUID:
    pull_id = ids.new()
    await tx.execute(
        """insert into crm.pull (tenant_id, id, connection_id, kind, form, since, until, created_by, created_at,
                                 updated_at)
           values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::timestamptz, $7::timestamptz, $8::uuid,
                   $9::timestamptz, $9::timestamptz)""",
        tx.actor.tenant_id, pull_id, connection_id, kind.value, form, since, until, tx.actor.user_id, now,
    )  # fmt: skip
    detail = {"connection_id": connection_id, "kind": kind.value, "form": form, "since": since, "until": until}
    await events.record(tx, "pull", pull_id, "pull.started", detail, at=now)
    await _want(tx, connection_id, pull_id)
    return pull_id


async def _want(tx: Tx, connection_id: UUID, pull_id: UUID, *, at: datetime | None = None) -> None:
    await jobs.defer(tx, TASK, lock=f"pull-{connection_id}", at=at, pull_id=pull_id)


async def checkpoint(tx: Tx, connection_id: UUID) -> datetime | None:
    """Return up to when everything a source told is landed (UTC), None before the first reconcile."""
    found: datetime | None = await tx.fetchval(
        "select position from crm.pull_checkpoint where tenant_id = $1::uuid and connection_id = $2::uuid",
        tx.actor.tenant_id, connection_id,
    )  # fmt: skip
    return found


async def load(tx: Tx, pull_id: UUID, *, lock: bool = False) -> Pull:
    """Return a pull as it stands, locked until the transaction ends if asked.

    :raises UnknownPull: when there is none.
    """
    row = await tx.fetchrow(
        "select id, connection_id, kind, form, page, since, until, cursor, status, attempts from crm.pull"
        " where tenant_id = $1::uuid and id = $2::uuid" + (" for update" if lock else ""),
        tx.actor.tenant_id, pull_id,
    )  # fmt: skip
    if row is None:
        raise UnknownPull
    return Pull(**{**dict(row), "kind": Kind(row["kind"])})


async def page(tx: Tx, connection_id: UUID, *, limit: int) -> list[asyncpg.Record]:
    """Return a connection's pulls, latest first.

    :raises connections.UnknownConnection: when there is no such connection.
    """
    await connections.get(tx, connection_id)
    return await tx.fetch(
        f"select {COLUMNS} from crm.pull where tenant_id = $1::uuid and connection_id = $2::uuid"
        " order by id desc limit $3::int",
        tx.actor.tenant_id, connection_id, limit,
    )  # fmt: skip


async def get(tx: Tx, pull_id: UUID) -> asyncpg.Record:
    """Return what may be shown of a pull.

    :raises UnknownPull: when there is none.
    """
    row = await tx.fetchrow(
        f"select {COLUMNS} from crm.pull where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, pull_id
    )
    if row is None:
        raise UnknownPull
    return row


@operation("inbox.process")
async def learn_page(tx: Tx, pull: Pull, page_id: str, *, now: datetime) -> None:
    """Keep whose page a pull's form is (its outside id); its leads are landed with it."""
    await tx.execute(
        "update crm.pull set page = $3::text, updated_at = $4::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, pull.id, page_id, now,
    )  # fmt: skip
    await events.record(tx, "pull", pull.id, "pull.page_learnt", {"page": page_id}, at=now)


@operation("inbox.process")
async def land(tx: Tx, pull: Pull, source: Source, found: Page, *, now: datetime) -> None:
    """Land the leads of a page that are not known yet and move the pull on, both or neither.

    A page of a pull that has moved on meanwhile changes nothing.
    """
    current = await load(tx, pull.id, lock=True)
    if current.status != "running" or current.cursor != pull.cursor:
        tx.unchanged()
        return
    known = await _known(tx, source, found.leads)
    fresh = list({told.body: None for told in found.leads if told not in known})
    landed = await inbox.receive_many(tx, pull.connection_id, source, fresh, now=now) if fresh else []
    done = found.cursor is None
    counts = {"read": len(found.leads), "landed": len(landed), "known": len(found.leads) - len(landed)}
    await tx.execute(
        """update crm.pull set cursor = $3::text, attempts = 0, last_error = null, read = read + $4::int,
                  landed = landed + $5::int, known = known + $6::int, updated_at = $7::timestamptz,
                  status = case when $8::boolean then 'done' else status end,
                  finished_at = case when $8::boolean then $7::timestamptz end
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, pull.id, found.cursor, *counts.values(), now, done,
    )  # fmt: skip
    if pull.kind is Kind.reconcile and found.position:
        await _move_checkpoint(tx, pull.connection_id, found.position, now)
    await events.record(tx, "pull", pull.id, "pull.finished" if done else "pull.advanced", counts, at=now)


async def _move_checkpoint(tx: Tx, connection_id: UUID, position: datetime, now: datetime) -> None:
    await tx.execute(
        """insert into crm.pull_checkpoint as c (tenant_id, connection_id, position, updated_at)
           values ($1::uuid, $2::uuid, $3::timestamptz, $4::timestamptz)
           on conflict (tenant_id, connection_id) do update
              set position = greatest(c.position, excluded.position), updated_at = excluded.updated_at""",
        tx.actor.tenant_id, connection_id, position, now,
    )  # fmt: skip


async def _known(tx: Tx, source: Source, told: Sequence[Told]) -> Sequence[Told]:
    """Return what is a lead already: by its outside id, or by a click that brought one at about the same time."""
    rows = await tx.fetch(
        """select i.external_id from unnest($3::text[]) as i(external_id)
            cross join lateral (select from crm.lead l where l.tenant_id = $1::uuid and l.source = $2::text
                                   and l.external_id = i.external_id limit 1) l""",
        tx.actor.tenant_id, source.value, [each.external_id for each in told if each.external_id],
    )  # fmt: skip
    by_id = {row["external_id"] for row in rows}
    by_click = await _clicks(tx, source, [each.made_at for each in told if each.gclid and each.made_at])
    return [each for each in told if each.external_id in by_id or (each.gclid and each.gclid in by_click)]


async def _clicks(tx: Tx, source: Source, made: Sequence[datetime]) -> set[str]:
    """Return the clicks of a source's leads around some instants."""
    if not made:
        return set()
    rows = await tx.fetch(
        """select click_ids ->> 'gclid' as gclid from crm.lead
            where tenant_id = $1::uuid and source = $2::text
              and acquired_at between $3::timestamptz and $4::timestamptz""",
        tx.actor.tenant_id, source.value, min(made) - NEAR, max(made) + NEAR,
    )  # fmt: skip
    return {row["gclid"] for row in rows if row["gclid"]}


@operation("inbox.process")
async def put_off(
    tx: Tx, pull: Pull, reason: str, *, for_good: bool = False, wait: timedelta | None = None, now: datetime
) -> None:
    """Go on with a pull later, where it stopped; or give it up, at once or after many attempts without a page.

    `wait`: how long at least; attempts that a limit cut short do not count.
    """
    current = await load(tx, pull.id, lock=True)
    if current.status != "running":
        tx.unchanged()
        return
    attempts = current.attempts + (0 if wait else 1)
    is_over = for_good or attempts >= inbox.MOST_ATTEMPTS
    await tx.execute(
        """update crm.pull set attempts = $3::int, last_error = $4::text, updated_at = $5::timestamptz,
                  status = case when $6::boolean then 'failed' else status end,
                  finished_at = case when $6::boolean then $5::timestamptz end
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, pull.id, attempts, reason, now, is_over,
    )  # fmt: skip
    detail: Mapping[str, Any] = {"reason": reason, "attempts": attempts}
    await events.record(tx, "pull", pull.id, "pull.failed" if is_over else "pull.put_off", detail, at=now)
    if not is_over:
        await _want(tx, pull.connection_id, pull.id, at=now + (wait or inbox.pause_after(max(attempts, 1))))


@operation("inbox.process")
async def rescue(tx: Tx, *, now: datetime) -> int:
    """Have pulls worked on again now that wait for long: put off while their source failed, which is well again, or
    forgotten, their job being gone. Return how many.
    """
    rows = await tx.fetch(
        """update crm.pull p set updated_at = $2::timestamptz
            where p.tenant_id = $1::uuid and p.status = 'running'
              and (p.updated_at < $3::timestamptz
                   or (p.last_error is not null and p.updated_at < $4::timestamptz and not exists (
                         select from crm.connection_health h
                          where h.tenant_id = $1::uuid and h.connection_id = p.connection_id
                            and (h.failures > 0 or h.blocked_until > $2::timestamptz))))
           returning p.id, p.connection_id""",
        tx.actor.tenant_id, now, now - FORGOTTEN, now - LATE,
    )  # fmt: skip
    if not rows:
        tx.unchanged()
    for row in rows:
        await _want(tx, row["connection_id"], row["id"])
        await events.record(tx, "pull", row["id"], "pull.rescued", at=now)
    return len(rows)
