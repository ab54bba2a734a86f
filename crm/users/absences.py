"""Absences: when somebody is away and takes no leads. Planned by oneself, or by one's manager or an administrator.

What has passed stays: an absence that has begun is cut short by cancelling, and was one until then.
"""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids
from crm.db import Tx
from crm.operation import operation
from crm.users import profiles
from crm.users.queries import UnknownUser

KINDS = {
    "vacation": {"tr": "İzin", "en": "Holiday"},
    "leave": {"tr": "Mazeret", "en": "Leave"},
    "training": {"tr": "Eğitim", "en": "Training"},
    "meeting": {"tr": "Toplantı", "en": "Meeting"},
    "other": {"tr": "Diğer", "en": "Other"},
}
"""Why somebody is away. That somebody is ill is health data and is not kept: it is a leave."""
LONGEST = timedelta(days=366)


class BadAbsence(errors.Invalid):
    """This is no absence that can be planned."""

    code = "absence.invalid"


class Overlaps(errors.Conflict):
    """An absence is planned for that time already; cancel it first."""

    code = "absence.overlaps"


class UnknownAbsence(errors.NotFound):
    """There is no such absence."""

    code = "absence.not_found"


class AbsenceOver(errors.Conflict):
    """This absence is over or cancelled; the past stays as it was."""

    code = "absence.over"


@operation("absence.plan")
async def plan(
    tx: Tx, user_id: UUID, *, kind: str, ends_at: datetime, starts_at: datetime | None = None, now: datetime
) -> UUID:
    """Plan an absence from `starts_at` (default: now, never earlier) until `ends_at`; return its id.

    :raises UnknownUser: when there is no such person, or the actor may plan their own absences only.
    :raises crm.users.profiles.OtherTeam: when a manager asks for somebody of another team.
    :raises BadAbsence: when the kind is unknown, it ends before it begins, begins in the past or lasts over a year.
    :raises Overlaps: when another one is planned within that time.
    """
    await _require_may(tx, user_id)
    begins = starts_at or now
    _check(kind, begins, ends_at, now)
    if await tx.fetchval(
        "select 1 from crm.user_absence where tenant_id = $1::uuid and user_id = $2::uuid and cancelled_at is null"
        " and ends_at > $3::timestamptz and starts_at < $4::timestamptz limit 1",
        tx.actor.tenant_id, user_id, begins, ends_at,
    ):  # fmt: skip
        raise Overlaps
    absence_id = ids.new()
    await tx.execute(
        "insert into crm.user_absence (tenant_id, id, user_id, kind, starts_at, ends_at, planned_by, created_at) values"
        " ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::timestamptz, $6::timestamptz, $7::uuid, $8::timestamptz)",
        tx.actor.tenant_id, absence_id, user_id, kind, begins, ends_at, tx.actor.user_id, now,
    )  # fmt: skip
    await _note(tx, user_id, "planned", now, absence_id=absence_id, kind=kind, starts_at=begins, ends_at=ends_at)
    return absence_id


@operation("absence.plan")
async def cancel(tx: Tx, user_id: UUID, absence_id: UUID, *, now: datetime) -> None:
    """Cancel an absence that is still to come, or end one that has begun now.

    :raises UnknownUser: when there is no such person, or the actor may change their own absences only.
    :raises UnknownAbsence: when they have no such absence.
    :raises AbsenceOver: when it is over, or was cancelled.
    """
    await _require_may(tx, user_id)
    row = await tx.fetchrow(
        "select kind, starts_at, ends_at, cancelled_at from crm.user_absence"
        " where tenant_id = $1::uuid and id = $2::uuid and user_id = $3::uuid for update",
        tx.actor.tenant_id, absence_id, user_id,
    )  # fmt: skip
    if row is None:
        raise UnknownAbsence
    if row["cancelled_at"] is not None or row["ends_at"] <= now:
        raise AbsenceOver
    await tx.execute(
        "update crm.user_absence set cancelled_at = $3::timestamptz, cancelled_by = $4::uuid"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, absence_id, now, tx.actor.user_id,
    )  # fmt: skip
    detail = {name: row[name] for name in ("kind", "starts_at", "ends_at")}
    await _note(tx, user_id, "cancelled", now, absence_id=absence_id, **detail)


async def of_user(tx: Tx, user_id: UUID, *, since: datetime) -> list[asyncpg.Record]:
    """Return a person's absences that end after an instant, cancelled ones too, the earliest first.

    :raises UnknownUser: when there is no such person, or the actor sees only their own.
    """
    await require_seen(tx, user_id)
    return await tx.fetch(
        "select id, kind, starts_at, ends_at, planned_by, created_at, cancelled_at, cancelled_by from crm.user_absence"
        " where tenant_id = $1::uuid and user_id = $2::uuid and ends_at > $3::timestamptz"
        " order by starts_at, id limit 1000",
        tx.actor.tenant_id, user_id, since,
    )  # fmt: skip


async def require_seen(tx: Tx, user_id: UUID) -> None:
    """Refuse to show a person to somebody who may see themselves only.

    :raises UnknownUser: when there is no such person for the actor.
    """
    if user_id != tx.actor.user_id and not tx.actor.may("user.view"):
        raise UnknownUser
    if not await tx.fetchval(
        "select 1 from crm.user_account where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, user_id
    ):
        raise UnknownUser


async def _require_may(tx: Tx, user_id: UUID) -> None:
    """Lock the person's account, so that two plans for one person are made one after the other."""
    if user_id != tx.actor.user_id and not tx.actor.may("profile.manage"):
        raise UnknownUser
    if user_id != tx.actor.user_id:
        await profiles.person_of(tx, user_id)
        return
    await tx.execute(
        "select 1 from crm.user_account where tenant_id = $1::uuid and id = $2::uuid for no key update",
        tx.actor.tenant_id, user_id,
    )  # fmt: skip


def _check(kind: str, begins: datetime, ends_at: datetime, now: datetime) -> None:
    fields = {}
    if kind not in KINDS:
        fields["kind"] = f"any of {', '.join(KINDS)}"
    if begins < now:
        fields["starts_at"] = "what has passed stays as it was: now at the earliest"
    if not begins < ends_at <= begins + LONGEST:
        fields["ends_at"] = "after its beginning, at most a year later"
    if fields:
        raise BadAbsence(fields=fields)


async def _note(tx: Tx, user_id: UUID, done: str, now: datetime, **detail: object) -> None:
    await events.record(tx, "agent", user_id, f"agent.absence_{done}", detail, at=now)
    await audit.of_person(tx, f"agent.absence_{done}", "user", user_id, detail, at=now)
