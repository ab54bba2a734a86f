"""Logins of BI tools: each consumer signs in to the database as itself, reads the `bi` views of one firm, and no more.

Which firm follows from the login alone (row-level security asks `crm.tenant_of_bi_login()`), never from a setting that
the consumer could change.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from crm import audit, db, errors, events, ids
from crm.actor import Actor
from crm.chores import Chore
from crm.db import Tx
from crm.operation import operation

log = structlog.get_logger("crm.bi")

CONNECTIONS = 8
"""Connections that one consumer may hold at once: a BI tool asks for several tiles at a time."""
LONGEST = timedelta(minutes=2)
"""How long a transaction of a consumer may last, whatever its session has set for itself."""
ITERATIONS = 4096
"""Rounds of PBKDF2 of PostgreSQL's own verifiers; the password is random, so that more would not help."""


class Grade(StrEnum):
    """What a login may read; the values are roles of the database."""

    reader = "bi_reader"
    """Figures of leads, calls, queues and agents."""
    finance = "bi_finance"
    """Those, and money: spend and sales."""
    analyst = "analyst_pseudo"
    """Those of the reader, and single steps of people who are known by key only."""


class NameTaken(errors.Conflict):
    """There is a login of this name; revoke it first, or choose another name."""

    code = "bi_login.name_taken"


class BadName(errors.Invalid):
    """A login's name is of small letters, digits and underscores, 2 to 30 of them, beginning with a letter."""

    code = "bi_login.name_invalid"


class UnknownLogin(errors.NotFound):
    """There is no login of this name."""

    code = "bi_login.not_found"


@dataclass(frozen=True, slots=True)
class NewLogin:
    """A login just made. The password is shown this once: only a verifier of it is kept."""

    id: UUID
    login: str
    password: str


@operation("bi.manage")
async def create(tx: Tx, name: str, grade: Grade, *, now: datetime) -> NewLogin:
    """Make a login for one consumer (a tool, a report) of the actor's firm.

    :raises BadName: when it is no name for a login.
    :raises NameTaken: when a login of this name is in use.
    """
    if not (2 <= len(name) <= 30 and name[0].isalpha() and name.isascii() and name.islower() and _is_word(name)):
        raise BadName(fields={"name": "small letters, digits and underscores"})
    # Every login of a server sees the names of all: they tell other firms nothing.
    new = NewLogin(ids.new(), f"bi_{secrets.token_hex(8)}", secrets.token_urlsafe(24))
    made = await tx.fetchval(
        "insert into crm.bi_login (tenant_id, id, name, login, grade, created_by, created_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::uuid, $7::timestamptz)"
        " on conflict (tenant_id, name) where revoked_at is null do nothing returning true",
        tx.actor.tenant_id, new.id, name, new.login, grade.value, tx.actor.user_id, now,
    )  # fmt: skip
    if not made:
        raise NameTaken(fields={"name": "in use"})
    await tx.execute(
        "select crm.open_bi_login($1::text, $2::text, $3::int)", new.login, verifier(new.password), CONNECTIONS
    )
    await _note(tx, new.id, "bi_login.created", grade, now)
    return new


def _is_word(name: str) -> bool:
    return name.replace("_", "a").isalnum()


@operation("bi.manage")
async def revoke(tx: Tx, name: str, *, now: datetime) -> None:
    """Take a login away: its open sessions see nothing any more and are ended, its role is dropped.

    :raises UnknownLogin: when no login of this name is in use.
    """
    row = await tx.fetchrow(
        "update crm.bi_login set revoked_at = $3::timestamptz"
        " where tenant_id = $1::uuid and name = $2::text and revoked_at is null returning id, login, grade",
        tx.actor.tenant_id, name, now,
    )  # fmt: skip
    if row is None:
        raise UnknownLogin(fields={"name": "not in use"})
    await tx.execute("select crm.close_bi_login($1::text)", row["login"])
    await _note(tx, row["id"], "bi_login.revoked", Grade(row["grade"]), now)


async def _note(tx: Tx, login_id: UUID, what: str, grade: Grade, now: datetime) -> None:
    detail: dict[str, Any] = {"grade": grade.value}
    await events.record(tx, "bi_login", login_id, what, detail, at=now)
    await audit.record(tx, what, "bi_login", login_id, detail, at=now)


async def logins(tx: Tx) -> list[asyncpg.Record]:
    """Return the firm's logins that are in use: name, login, grade, since when (UTC); never a password."""
    return await tx.fetch(
        "select name, login, grade, created_at from crm.bi_login"
        " where tenant_id = $1::uuid and revoked_at is null order by name",
        tx.actor.tenant_id,
    )


class Sessions(Chore):
    """Ends transactions of BI tools that last too long: they would hold up the numbers of every firm."""

    name = "bi_sessions"
    every = 20.0

    async def work(self, tenant_id: UUID) -> None:
        """End those of a firm's consumers."""
        async with db.transaction(Actor.system(tenant_id)) as tx:
            ended = await end_long_transactions(tx)
        if ended:
            log.warning("bi_transactions_ended", tenant_id=str(tenant_id), sessions=ended)


async def end_long_transactions(tx: Tx, longest: timedelta = LONGEST) -> int:
    """End the sessions of the firm's consumers whose transaction is older; return how many there were."""
    return int(await tx.fetchval("select crm.end_long_bi_transactions($1::interval)", longest))


def verifier(password: str, salt: bytes | None = None) -> str:
    """Return what PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803), so that it never travels in clear."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    words = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(ITERATIONS, *words)
