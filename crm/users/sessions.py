"""Signing in, staying signed in, signing out: passwords, lock-out, rotating refresh tokens."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from crm import db, errors, ids
from crm.actor import Actor
from crm.db import Tx
from crm.operation import operation
from crm.users import passwords, rules, secrets, tokens
from crm.users.notes import note


class SignInRefused(errors.NotAuthenticated):
    """Wrong e-mail address or password, or too many tries: after five, the account rests for fifteen minutes."""

    code = "login.refused"


class SessionEnded(errors.NotAuthenticated):
    """This refresh token is not good any more; sign in again."""

    code = "session.ended"


@dataclass(frozen=True, slots=True)
class Session:
    """What somebody who signed in carries: both tokens, and the seconds that the access token is good for."""

    user_id: UUID
    access_token: str
    refresh_token: str
    expires_in: int = rules.ACCESS_MINUTES * 60


ACCOUNT = """
select id, password_hash, roles, team_id, is_active, failed_logins, locked_until from crm.user_account
 where tenant_id = $1::uuid and lower(email) = lower($2::text)
"""


async def sign_in(email: str, password: str, *, now: datetime, trace_id: UUID) -> Session:
    """Return a session for a person who knows their password.

    Unknown addresses, wrong passwords, locked and closed accounts take the same time and get the same answer. The
    password is checked between two transactions: no connection waits for argon2.

    :raises SignInRefused: for any of them.
    """
    tenant_id = (await db.ask("select crm.tenant_of_login($1::text)", email))[0][0]
    if tenant_id is None:
        await passwords.matches(password, None)
        raise SignInRefused
    system = Actor.system(tenant_id, trace_id=trace_id)
    async with db.transaction(system) as tx:
        account = await tx.fetchrow(ACCOUNT, tenant_id, email)
    stored = account and account["password_hash"]
    matched = stored if await passwords.matches(password, stored) else None
    if account is None:
        raise SignInRefused
    person = replace(system, user_id=account["id"])
    session: Session | None = await db.run(person, lambda tx: attempt(tx, email, matched=matched, now=now))
    if session is None:
        raise SignInRefused
    return session


@operation("session.open")
async def attempt(tx: Tx, email: str, *, matched: str | None, now: datetime) -> Session | None:
    """Open a session, or count a failure and lock the account when they are too many; None: refused.

    `matched`: the hash that the password was found to match (None: it did not); by now it may be another one.
    """
    account = await tx.fetchrow(f"{ACCOUNT} for update", tx.actor.tenant_id, email)
    if account is None:
        tx.unchanged()
        return None
    if not await admits(tx, account, matched=matched, now=now):
        return None
    await tx.execute(
        "update crm.user_account set failed_logins = 0, locked_until = null, last_login_at = $3::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, account["id"], now,
    )  # fmt: skip
    await note(tx, "user", account["id"], "user.signed_in", now)
    return await _open(tx, account["id"], account["team_id"], account["roles"], family=ids.new(), now=now)


async def admits(tx: Tx, account: asyncpg.Record, *, matched: str | None, now: datetime) -> bool:
    """Tell whether somebody has proved to be the holder of an account that was locked for it (`ACCOUNT`).

    A wrong password is counted, and locks the account when it is one too many, within the operation that asks.
    """
    locked = account["locked_until"] is not None and account["locked_until"] > now
    if locked or not account["is_active"]:
        await note(tx, "user", account["id"], "user.sign_in_refused", now, reason="locked" if locked else "inactive")
        return False
    if matched is None or matched != account["password_hash"]:
        await _count_failure(tx, account["id"], 0 if account["locked_until"] else account["failed_logins"], now)
        return False
    return True


async def _count_failure(tx: Tx, user_id: UUID, failures_before: int, now: datetime) -> None:
    failures = failures_before + 1
    locked_until = now + timedelta(minutes=rules.LOCK_MINUTES) if rules.locks_now(failures) else None
    await tx.execute(
        "update crm.user_account set failed_logins = $3::int, locked_until = $4::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, user_id, failures, locked_until,
    )  # fmt: skip
    await note(tx, "user", user_id, "user.sign_in_refused", now, reason="password", failures=failures)
    if locked_until:
        await note(tx, "user", user_id, "user.locked", now, until=locked_until)


async def _open(
    tx: Tx, user_id: UUID, team_id: UUID | None, roles: list[str], *, family: UUID, now: datetime
) -> Session:
    """Store a refresh token of a family and return the pair of tokens."""
    refresh_token = secrets.new_refresh_token()
    await tx.execute(
        "insert into crm.user_session (tenant_id, id, family_id, user_id, refresh_hash, created_at, expires_at)"
        " values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::bytea, $6::timestamptz, $7::timestamptz)",
        tx.actor.tenant_id, ids.new(), family, user_id, secrets.kept(refresh_token),
        now, now + timedelta(days=rules.REFRESH_DAYS),
    )  # fmt: skip
    access = tokens.issue(
        tenant=tx.actor.tenant_id, user=user_id, team=team_id, roles=roles, session=family, now=now
    )  # fmt: skip
    return Session(user_id, access, refresh_token)


FIND = """
select s.id, s.family_id, s.user_id, s.expires_at, s.used_at, s.revoked_at, u.roles, u.team_id, u.is_active
  from crm.user_session s join crm.user_account u on u.tenant_id = s.tenant_id and u.id = s.user_id
 where s.tenant_id = $1::uuid and s.refresh_hash = $2::bytea
   for update of s
"""


async def refresh(refresh_token: str, *, now: datetime, trace_id: UUID) -> Session:
    """Return a new pair of tokens for a refresh token, which is used up by that.

    A token that comes a second time is in two hands: its whole family is revoked, and both must sign in again.

    :raises SessionEnded: when the token is unknown, used, revoked or expired, or the account is closed.
    """
    kept = secrets.kept(refresh_token)
    tenant_id = (await db.ask("select crm.tenant_of_refresh($1::bytea)", kept))[0][0]
    if tenant_id is None:
        raise SessionEnded
    session: Session | None = await db.run(
        Actor.system(tenant_id, trace_id=trace_id), lambda tx: rotate(tx, kept, now=now)
    )
    if session is None:
        raise SessionEnded
    return session


@operation("session.open")
async def rotate(tx: Tx, refresh_hash: bytes, *, now: datetime) -> Session | None:
    """Use up a refresh token and open the next of its family; None: refused."""
    found = await tx.fetchrow(FIND, tx.actor.tenant_id, refresh_hash)
    if found is None or found["revoked_at"] or found["expires_at"] <= now or not found["is_active"]:
        tx.unchanged()
        return None
    tx.actor = replace(tx.actor, user_id=found["user_id"])
    if found["used_at"]:
        await _revoke(tx, found["user_id"], found["family_id"], "reused", now)
        return None
    await tx.execute(
        "update crm.user_session set used_at = $3::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, found["id"], now,
    )  # fmt: skip
    await note(tx, "user", found["user_id"], "session.refreshed", now)
    return await _open(tx, found["user_id"], found["team_id"], found["roles"], family=found["family_id"], now=now)


async def sign_out(refresh_token: str, *, now: datetime, trace_id: UUID) -> None:
    """End the session that a refresh token belongs to; an unknown token is as good as signed out."""
    kept = secrets.kept(refresh_token)
    tenant_id = (await db.ask("select crm.tenant_of_refresh($1::bytea)", kept))[0][0]
    if tenant_id is not None:
        await db.run(Actor.system(tenant_id, trace_id=trace_id), lambda tx: end(tx, kept, now=now))


@operation("session.open")
async def end(tx: Tx, refresh_hash: bytes, *, now: datetime) -> None:
    """Revoke the family of a refresh token."""
    found = await tx.fetchrow(FIND, tx.actor.tenant_id, refresh_hash)
    if found is None or found["revoked_at"]:
        tx.unchanged()
        return
    tx.actor = replace(tx.actor, user_id=found["user_id"])
    await _revoke(tx, found["user_id"], found["family_id"], "signed_out", now)


async def revoke_all(tx: Tx, user_id: UUID, reason: str, *, but: UUID | None = None, now: datetime) -> None:
    """End every session of a user, save one if named, within the operation that takes their access away."""
    await _revoke(tx, user_id, None, reason, now, but=but)


async def _revoke(
    tx: Tx, user_id: UUID, family: UUID | None, reason: str, now: datetime, *, but: UUID | None = None
) -> None:
    await tx.execute(
        "update crm.user_session set revoked_at = $4::timestamptz where tenant_id = $1::uuid and user_id = $2::uuid"
        " and ($3::uuid is null or family_id = $3::uuid) and revoked_at is null"
        " and family_id is distinct from $5::uuid",
        tx.actor.tenant_id, user_id, family, now, but,
    )  # fmt: skip
    await note(tx, "user", user_id, "session.revoked", now, reason=reason)
