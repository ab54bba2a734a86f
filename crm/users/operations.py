"""What changes accounts: creating, changing, closing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import errors, ids
from crm.db import Tx
from crm.operation import operation
from crm.users import availability, memberships, queries, rules, sessions
from crm.users.notes import note


class EmailTaken(errors.Conflict):
    """An account with this e-mail address exists already."""

    code = "user.email_taken"


class UnknownRole(errors.Invalid):
    """There is no such role."""

    code = "role.unknown"


class LastAdministrator(errors.Conflict):
    """This is the last active administrator; make another one first."""

    code = "user.last_admin"


@operation("user.manage")
async def create(
    tx: Tx,
    *,
    email: str,
    name: str,
    roles: Sequence[str],
    team_id: UUID | None = None,
    locale: str = "tr",
    password_hash: str | None = None,
    now: datetime,
) -> UUID:
    """Create an account at once, without an invitation; return its id. Without a password nobody can sign in to it.

    A sales agent of a team takes leads from the start.

    :raises EmailTaken: when the address has an account.
    :raises UnknownRole: when a role does not exist.
    :raises crm.users.queries.UnknownTeam: when the team does not exist.
    """
    require_roles(roles)
    await require_team(tx, team_id)
    user_id = ids.new()
    await insert(tx, user_id, email, name, list(roles), team_id, locale, password_hash, now)
    await note(tx, "user", user_id, "user.created", now, roles=list(roles), team_id=team_id)
    await availability.join(tx, user_id, roles, team_id, now)
    return user_id


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of an account; None leaves a thing as it is, `leave_team` takes the person out of their team."""

    name: str | None = None
    locale: str | None = None
    roles: Sequence[str] | None = None
    team_id: UUID | None = None
    leave_team: bool = False
    is_active: bool | None = None


@operation("user.manage")
async def update(tx: Tx, user_id: UUID, change: Change, *, now: datetime) -> None:
    """Change an account. Closing it, or changing its roles or team, ends its sessions: tokens carry both.

    :raises crm.users.queries.UnknownUser: when there is no such user.
    :raises LastAdministrator: when nobody could administer the tenant any more.
    """
    before = await tx.fetchrow(
        "select name, locale, roles, team_id, is_active, created_at from crm.user_account"
        " where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, user_id,
    )  # fmt: skip
    if before is None:
        raise queries.UnknownUser
    after = _changed(before, change)
    altered = [name for name, value in after.items() if value != before[name]]
    if not altered:
        tx.unchanged()
        return
    require_roles(after["roles"])  # type: ignore[arg-type]
    await require_team(tx, after["team_id"])  # type: ignore[arg-type]
    await _require_administrator_left(tx, user_id, before, after)
    await tx.execute(
        "update crm.user_account set name = $3::text, locale = $4::text, roles = $5::text[], team_id = $6::uuid,"
        " is_active = $7::bool, updated_at = $8::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, user_id, *after.values(), now,
    )  # fmt: skip
    await note(
        tx, "user", user_id, "user.updated", now, changed=altered, roles=after["roles"], team_id=after["team_id"]
    )
    if "team_id" in altered:
        team_id: UUID | None = after["team_id"]  # type: ignore[assignment]
        await memberships.move(
            tx, user_id, before=before["team_id"], after=team_id, since=before["created_at"], now=now
        )
    await _follow_up(tx, user_id, altered, after, now)


def _changed(before: asyncpg.Record, change: Change) -> dict[str, object]:
    team_id = None if change.leave_team else change.team_id or before["team_id"]
    return {
        "name": before["name"] if change.name is None else change.name,
        "locale": before["locale"] if change.locale is None else change.locale,
        "roles": before["roles"] if change.roles is None else list(change.roles),
        "team_id": team_id,
        "is_active": before["is_active"] if change.is_active is None else change.is_active,
    }


async def _follow_up(tx: Tx, user_id: UUID, altered: list[str], after: dict[str, object], now: datetime) -> None:
    """Do what a change of account entails: sessions, distribution, and the word for closing and opening it."""
    if "is_active" in altered:
        what = "user.activated" if after["is_active"] else "user.deactivated"
        await note(tx, "user", user_id, what, now)
    if {"is_active", "roles", "team_id"} & set(altered):
        await sessions.revoke_all(tx, user_id, "account_changed", now=now)
    if "is_active" in altered and not after["is_active"]:
        await availability.accept(tx, user_id, False, now)
    if "team_id" in altered:
        await tx.execute(
            "delete from crm.routing_member where tenant_id = $1::uuid and user_id = $2::uuid"
            " and team_id is distinct from $3::uuid",
            tx.actor.tenant_id, user_id, after["team_id"],
        )  # fmt: skip
        await availability.join(tx, user_id, after["roles"], after["team_id"], now)  # type: ignore[arg-type]


async def _require_administrator_left(tx: Tx, user_id: UUID, before: asyncpg.Record, after: dict[str, object]) -> None:
    stays = after["is_active"] and rules.Role.admin in after["roles"]  # type: ignore[operator]
    if stays or rules.Role.admin not in before["roles"] or not before["is_active"]:
        return
    # Locks the administrators, so that two of them cannot close each other's accounts at once.
    others = await tx.fetch(
        "select id from crm.user_account where tenant_id = $1::uuid and is_active and 'admin' = any(roles)"
        " and id <> $2::uuid order by id for update",
        tx.actor.tenant_id, user_id,
    )  # fmt: skip
    if not others:
        raise LastAdministrator


async def insert(
    tx: Tx,
    user_id: UUID,
    email: str,
    name: str,
    roles: Sequence[str],
    team_id: UUID | None,
    locale: str,
    password_hash: str | None,
    now: datetime,
) -> None:
    made = await tx.fetchval(
        "insert into crm.user_account"
        " (tenant_id, id, email, name, locale, roles, team_id, password_hash, created_at, updated_at) values"
        " ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::text[], $7::uuid, $8::text, $9::timestamptz,"
        " $9::timestamptz) on conflict (lower(email)) do nothing returning true",
        tx.actor.tenant_id, user_id, email, name, locale, list(roles), team_id, password_hash, now,
    )  # fmt: skip
    if not made:
        raise EmailTaken(fields={"email": "in use"})
    if team_id is not None:
        await memberships.move(tx, user_id, before=None, after=team_id, since=now, now=now)


def require_roles(roles: Sequence[str]) -> None:
    unknown = sorted(set(roles) - set(rules.ROLES))
    if unknown or not roles:
        raise UnknownRole(fields={"roles": f"any of {', '.join(rules.ROLES)}"})


async def require_team(tx: Tx, team_id: UUID | None) -> None:
    if team_id is not None:
        await queries.team(tx, team_id)
