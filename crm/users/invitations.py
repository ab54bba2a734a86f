"""Invitations: somebody is asked to register, and makes the account that was promised."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from crm import db, errors, ids
from crm.actor import Actor
from crm.db import Tx
from crm.operation import operation
from crm.users import availability, operations, passwords, rules, secrets, sessions
from crm.users.notes import note


class InvitationOver(errors.NotFound):
    """This invitation is unknown, used, or has expired; ask for a new one."""

    code = "invitation.over"


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

    :raises crm.users.operations.EmailTaken: when somebody of this tenant has that address.
    :raises crm.users.operations.UnknownRole: when a role does not exist.
    :raises crm.users.queries.UnknownTeam: when the team does not exist.
    """
    operations.require_roles(roles)
    await operations.require_team(tx, team_id)
    if await tx.fetchval(
        "select 1 from crm.user_account where tenant_id = $1::uuid and lower(email) = lower($2::text)",
        tx.actor.tenant_id, email,
    ):  # fmt: skip
        raise operations.EmailTaken(fields={"email": "in use"})
    made = Invitation(ids.new(), email, list(roles), team_id, now + timedelta(days=rules.INVITATION_DAYS))
    await tx.execute(
        "insert into crm.invitation"
        " (tenant_id, id, email, roles, team_id, token_hash, invited_by, created_at, expires_at) values"
        " ($1::uuid, $2::uuid, $3::text, $4::text[], $5::uuid, $6::bytea, $7::uuid, $8::timestamptz, $9::timestamptz)",
        tx.actor.tenant_id, made.id, email, made.roles, team_id, secrets.kept(made.token),
        tx.actor.user_id, now, made.expires_at,
    )  # fmt: skip
    await note(tx, "invitation", made.id, "user.invited", now, roles=made.roles, team_id=team_id)
    return made


async def register(
    token: str, *, name: str, password: str, locale: str, now: datetime, trace_id: UUID
) -> sessions.Session:
    """Make the account that an invitation promises, and sign in.

    :raises InvitationOver: when the invitation is unknown, used or has expired.
    :raises crm.users.passwords.WeakPassword: when the password is too easy.
    :raises crm.users.operations.EmailTaken: when the address has got an account meanwhile.
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
    :raises crm.users.operations.EmailTaken: when the address has got an account meanwhile.
    """
    invitation = await _open_invitation(tx, token_hash, now)
    await tx.execute(
        "update crm.invitation set accepted_at = $3::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, invitation["id"], now,
    )  # fmt: skip
    user_id = ids.new()
    tx.actor = replace(tx.actor, user_id=user_id)
    roles, team_id = invitation["roles"], invitation["team_id"]
    await operations.insert(tx, user_id, invitation["email"], name, roles, team_id, locale, password_hash, now)
    told = {"invitation_id": invitation["id"], "roles": roles, "team_id": team_id}
    await note(tx, "user", user_id, "user.registered", now, **told)
    await availability.join(tx, user_id, roles, team_id, now)
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
