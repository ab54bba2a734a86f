"""What changes people: inviting, creating, changing, closing accounts, and whether an agent takes leads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from crm import audit, db, errors, events, ids
from crm.actor import Actor
from crm.db import Tx
from crm.operation import operation
from crm.users import memberships, passwords, queries, rules, secrets, sessions


class EmailTaken(errors.Conflict):
    """An account with this e-mail address exists already."""

    code = "user.email_taken"


class UnknownRole(errors.Invalid):
    """There is no such role."""

    code = "role.unknown"


class LastAdministrator(errors.Conflict):
    """This is the last active administrator; make another one first."""

    code = "user.last_admin"


class InvitationOver(errors.NotFound):
    """This invitation is unknown, used, or has expired; ask for a new one."""

    code = "invitation.over"


class InNoTeam(errors.Conflict):
    """This person is in no team, so no leads are distributed to them."""

    code = "agent.no_team"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation and the one secret that opens it."""

    id: UUID
    email: str
    roles: list[str]
    team_id: UUID | None
    expires_at: datetime

    @property
    def token(self) -> str:
        """What the invited person registers with."""
        return secrets.invitation_token(self.id)


@operation("user.manage")
async def invite(tx: Tx, *, email: str, roles: Sequence[str], team_id: UUID | None = None, now: datetime) -> Invitation:
    """Invite somebody to register within `rules.INVITATION_DAYS`.

    :raises EmailTaken: when somebody of this tenant has that address.
    :raises UnknownRole: when a role does not exist.
    :raises crm.users.queries.UnknownTeam: when the team does not exist.
    """
    _require_roles(roles)
    await _require_team(tx, team_id)
    if await tx.fetchval(
        "select 1 from crm.user_account where tenant_id = $1::uuid and lower(email) = lower($2::text)",
        tx.actor.tenant_id, email,
    ):  # fmt: skip
        raise EmailTaken(fields={"email": "in use"})
    made = Invitation(ids.new(), email, list(roles), team_id, now + timedelta(days=rules.INVITATION_DAYS))
    await tx.execute(
        "insert into crm.invitation"
        " (tenant_id, id, email, roles, team_id, token_hash, invited_by, created_at, expires_at) values"
        " ($1::uuid, $2::uuid, $3::text, $4::text[], $5::uuid, $6::bytea, $7::uuid, $8::timestamptz, $9::timestamptz)",
        tx.actor.tenant_id, made.id, email, made.roles, team_id, secrets.kept(made.token),
        tx.actor.user_id, now, made.expires_at,
    )  # fmt: skip
    await _note(tx, "invitation", made.id, "user.invited", now, roles=made.roles, team_id=team_id)
    return made


async def register(
    token: str, *, name: str, password: str, locale: str, now: datetime, trace_id: UUID
) -> sessions.Session:
    """Make the account that an invitation promises, and sign in.

    :raises InvitationOver: when the invitation is unknown, used or has expired.
    :raises crm.users.passwords.WeakPassword: when the password is too easy.
    :raises EmailTaken: when the address has got an account meanwhile.
    """
    token_hash = secrets.kept(token)
    tenant_id = (await db.ask("select crm.tenant_of_invitation($1::bytea)", token_hash))[0][0]
    if tenant_id is None:
        raise InvitationOver
    actor = Actor.system(tenant_id, trace_id=trace_id)
    async with db.transaction(actor) as tx:
        email = (await _open_invitation(tx, token_hash, now))["email"]
    passwords.require_good(password, email=email)
    password_hash = await passwords.hashed(password)
    await db.run(
        actor,
        lambda tx: accept(tx, token_hash, name=name, password_hash=password_hash, locale=locale, now=now),
    )
    return await sessions.sign_in(email, password, now=now, trace_id=trace_id)


@operation("user.register")
async def accept(tx: Tx, token_hash: bytes, *, name: str, password_hash: str, locale: str, now: datetime) -> UUID:
    """Use up an invitation and create its account; return the new user's id.

    :raises InvitationOver: when it is used or has expired.
    :raises EmailTaken: when the address has got an account meanwhile.
    """
    invitation = await _open_invitation(tx, token_hash, now)
    await tx.execute(
        "update crm.invitation set accepted_at = $3::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, invitation["id"], now,
    )  # fmt: skip
    user_id = ids.new()
    tx.actor = replace(tx.actor, user_id=user_id)
    roles, team_id = invitation["roles"], invitation["team_id"]
    await _insert(tx, user_id, invitation["email"], name, roles, team_id, locale, password_hash, now)
    await _note(tx, "user", user_id, "user.registered", now, invitation_id=invitation["id"])
    await _join_distribution(tx, user_id, roles, team_id, now)
    return user_id


async def _open_invitation(tx: Tx, token_hash: bytes, now: datetime) -> asyncpg.Record:
    invitation = await tx.fetchrow(
        "select id, email, roles, team_id from crm.invitation where tenant_id = $1::uuid and token_hash = $2::bytea"
        " and accepted_at is null and expires_at > $3::timestamptz for update",
        tx.actor.tenant_id, token_hash, now,
    )  # fmt: skip
    if invitation is None:
        raise InvitationOver
    return invitation


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
    _require_roles(roles)
    await _require_team(tx, team_id)
    user_id = ids.new()
    await _insert(tx, user_id, email, name, list(roles), team_id, locale, password_hash, now)
    await _note(tx, "user", user_id, "user.created", now, roles=list(roles), team_id=team_id)
    await _join_distribution(tx, user_id, roles, team_id, now)
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
    _require_roles(after["roles"])  # type: ignore[arg-type]
    await _require_team(tx, after["team_id"])  # type: ignore[arg-type]
    await _require_administrator_left(tx, user_id, before, after)
    await tx.execute(
        "update crm.user_account set name = $3::text, locale = $4::text, roles = $5::text[], team_id = $6::uuid,"
        " is_active = $7::bool, updated_at = $8::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, user_id, *after.values(), now,
    )  # fmt: skip
    await _note(
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
        await _note(tx, "user", user_id, what, now)
    if {"is_active", "roles", "team_id"} & set(altered):
        await sessions.revoke_all(tx, user_id, "account_changed", now=now)
    if "is_active" in altered and not after["is_active"]:
        await _set_accepting(tx, user_id, False, now)
    if "team_id" in altered:
        await tx.execute(
            "delete from crm.routing_member where tenant_id = $1::uuid and user_id = $2::uuid"
            " and team_id is distinct from $3::uuid",
            tx.actor.tenant_id, user_id, after["team_id"],
        )  # fmt: skip
        await _join_distribution(tx, user_id, after["roles"], after["team_id"], now)  # type: ignore[arg-type]


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


@operation("agent.availability")
async def set_availability(tx: Tx, *, accepting: bool, now: datetime) -> None:
    """Say whether the acting person takes new leads.

    :raises InNoTeam: when they are in no team.
    """
    user_id = tx.actor.user_id
    if user_id is None:
        raise errors.Invalid("the system takes no leads")
    if not await tx.fetchval(
        "select 1 from crm.routing_member where tenant_id = $1::uuid and user_id = $2::uuid",
        tx.actor.tenant_id,
        user_id,
    ):
        raise InNoTeam
    if not await _set_accepting(tx, user_id, accepting, now):
        tx.unchanged()


async def _set_accepting(tx: Tx, user_id: UUID, accepting: bool, now: datetime) -> bool:
    """Change whether distribution gives a person leads; return whether anything changed."""
    changed = await tx.fetch(
        "update crm.routing_member set accepting = $3::bool, updated_at = $4::timestamptz"
        " where tenant_id = $1::uuid and user_id = $2::uuid and accepting <> $3::bool returning team_id",
        tx.actor.tenant_id, user_id, accepting, now,
    )  # fmt: skip
    for row in changed:
        await _note(
            tx, "agent", user_id, "agent.availability_changed", now, accepting=accepting, team_id=row["team_id"]
        )  # fmt: skip
    return bool(changed)


async def _join_distribution(tx: Tx, user_id: UUID, roles: Sequence[str], team_id: UUID | None, now: datetime) -> None:
    """Let a sales agent of a team take leads."""
    if team_id is None or rules.Role.sales_agent not in roles:
        return
    joined = await tx.fetchval(
        "insert into crm.routing_member (tenant_id, team_id, user_id, updated_at)"
        " values ($1::uuid, $2::uuid, $3::uuid, $4::timestamptz) on conflict do nothing returning true",
        tx.actor.tenant_id, team_id, user_id, now,
    )  # fmt: skip
    if joined:
        await _note(tx, "agent", user_id, "agent.availability_changed", now, accepting=True, team_id=team_id)


async def _insert(
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


def _require_roles(roles: Sequence[str]) -> None:
    unknown = sorted(set(roles) - set(rules.ROLES))
    if unknown or not roles:
        raise UnknownRole(fields={"roles": f"any of {', '.join(rules.ROLES)}"})


async def _require_team(tx: Tx, team_id: UUID | None) -> None:
    if team_id is not None:
        await queries.team(tx, team_id)


async def _note(tx: Tx, kind: str, which: UUID, what: str, now: datetime, **detail: object) -> None:
    """Write the event and the audit row of one thing that happened."""
    await events.record(tx, kind, which, what, detail, at=now)
    await audit.record(tx, what, kind, which, detail, at=now)
