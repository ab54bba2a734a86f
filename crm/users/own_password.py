"""Changing one's own password, by whoever knows the old one."""

from dataclasses import replace
from datetime import datetime

from crm import db, errors
from crm.actor import Actor
from crm.db import Tx
from crm.operation import operation
from crm.users import passwords, queries, sessions
from crm.users.notes import note


class OldPasswordRefused(errors.NotAllowed):
    """The old password is wrong, or was wrong too often: after five, the account rests for fifteen minutes."""

    code = "password.old_refused"


class SamePassword(errors.Invalid):
    """This is the password there is already."""

    code = "password.same"


async def change(actor: Actor, *, old: str, new: str, now: datetime) -> None:
    """Give the acting person a new password; all their sessions end but the one they act in.

    A wrong old password counts as one at signing in does, so that a stolen token does not help to guess it. As there,
    argon2 runs between two transactions.

    :raises OldPasswordRefused: when the old one is wrong, or the account is locked or closed.
    :raises crm.users.passwords.WeakPassword: when the new one is too easy.
    :raises SamePassword: when it is the old one.
    """
    assert actor.user_id is not None, "a person changes a password"
    async with db.transaction(actor) as tx:
        email = (await queries.user(tx, actor.user_id))["email"]
        account = await tx.fetchrow(sessions.ACCOUNT, actor.tenant_id, email)
    passwords.require_good(new, email=email, field="new_password")
    if old == new:
        raise SamePassword(fields={"new_password": "another one than the old"})
    stored = account and account["password_hash"]
    matched = stored if await passwords.matches(old, stored) else None
    fresh = await passwords.hashed(new) if matched else None
    person = replace(actor, is_system=True)  # everybody may, whatever their roles
    if not await db.run(person, lambda tx: store(tx, email, matched=matched, fresh=fresh, now=now)):
        raise OldPasswordRefused(fields={"old_password": "not accepted"})


@operation("password.change")
async def store(tx: Tx, email: str, *, matched: str | None, fresh: str | None, now: datetime) -> bool:
    """Keep a new password's hash and end the other sessions, or count a failure; return whether it was kept.

    `matched`: the hash that the old password was found to match, None: it did not.
    """
    account = await tx.fetchrow(f"{sessions.ACCOUNT} for update", tx.actor.tenant_id, email)
    if account is None or account["id"] != tx.actor.user_id:
        tx.unchanged()
        return False
    if not await sessions.admits(tx, account, matched=matched, now=now):
        return False
    await tx.execute(
        "update crm.user_account set password_hash = $3::text, failed_logins = 0, locked_until = null,"
        " updated_at = $4::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, account["id"], fresh, now,
    )  # fmt: skip
    await note(tx, "user", account["id"], "user.password_changed", now)
    await sessions.revoke_all(tx, account["id"], "password_changed", but=tx.actor.session_id, now=now)
    return True
