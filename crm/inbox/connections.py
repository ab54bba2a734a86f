"""Connections to lead sources: whose webhooks are taken, and the secrets they are known by.

Secrets go in and never come out again: they are sealed under a key of the tenant and the connection.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids
from crm.db import Tx, ask
from crm.inbox import health
from crm.operation import operation
from crm.settings import settings
from crm.vault import DataKey

CHANNELS = frozenset({"call", "email", "sms", "whatsapp"})
COLUMNS = "id, source, name, team_id, is_active, created_at, updated_at"

Consents = Mapping[str, Sequence[str]]
"""Which question of the source's forms asks consent for which channels."""


class Source(StrEnum):
    """Where leads come from by webhook."""

    meta = "meta"
    google = "google"


SECRETS: dict[Source, frozenset[str]] = {
    Source.meta: frozenset({"app_secret", "verify_token", "access_token"}),
    Source.google: frozenset({"google_key"}),
}
"""What a connection is known by: Meta signs, verifies the address, and is asked for leads; Google sends a key."""


ASKED = frozenset({Source.meta})
"""Sources whose messages only name leads: what is in them has to be asked for."""

ACCESS: dict[Source, frozenset[str]] = {
    Source.meta: frozenset({"app_id"}),
    Source.google: frozenset({"customer_id", "developer_token", "client_id", "client_secret", "refresh_token"}),
}
"""What it takes beyond the webhook: to renew Meta's token; to ask Google for leads and clicks."""
OPTIONAL: dict[Source, frozenset[str]] = {Source.google: frozenset({"login_customer_id"})}


class UnknownConnection(errors.NotFound):
    """There is no such connection."""

    code = "connection.not_found"


class WrongSecrets(errors.Invalid):
    """These are not the secrets that this source has."""

    code = "connection.secrets"


class UnknownTeam(errors.Invalid):
    """There is no such team."""

    code = "team.unknown"


@dataclass(frozen=True, slots=True, repr=False)
class Connection:
    """A connection with its secrets opened, in memory for as long as a message takes."""

    tenant_id: UUID
    id: UUID
    source: Source
    team_id: UUID | None
    secrets: Mapping[str, str]
    consents: Consents

    @property
    def has_access(self) -> bool:
        """Whether its secrets allow what goes beyond the webhook."""
        return ACCESS[self.source] <= self.secrets.keys()


def _key(tenant_id: UUID, connection_id: UUID) -> DataKey:
    return DataKey(tenant_id, connection_id, settings().derived(f"vault:connections:{tenant_id}"))


def _seal(tenant_id: UUID, connection_id: UUID, secrets: Mapping[str, str], consents: Consents) -> bytes:
    content = {"secrets": dict(secrets), "consents": {question: list(to) for question, to in consents.items()}}
    return _key(tenant_id, connection_id).seal(json.dumps(content))


async def find(source: str, connection_id: UUID | None = None) -> tuple[UUID, UUID]:
    """Return tenant and id of an active connection; without an id, of the only one of its source.

    :raises UnknownConnection: when there is none, or more than one to choose from.
    """
    rows = await ask("select tenant_id, id from crm.tenant_of_connection($1::text, $2::uuid)", source, connection_id)
    if len(rows) != 1:
        raise UnknownConnection
    return rows[0]["tenant_id"], rows[0]["id"]


async def load(tx: Tx, connection_id: UUID) -> Connection:
    """Return a connection with its secrets, for a door that checks signatures or a parser that fetches leads.

    :raises UnknownConnection: when there is none.
    """
    row = await _get(tx, connection_id, "source, team_id, secrets_sealed")
    content = json.loads(_key(tx.actor.tenant_id, connection_id).open(row["secrets_sealed"]))
    return Connection(
        tenant_id=tx.actor.tenant_id,
        id=connection_id,
        source=Source(row["source"]),
        team_id=row["team_id"],
        secrets=content["secrets"],
        consents=content["consents"],
    )


async def _get(tx: Tx, connection_id: UUID, columns: str = COLUMNS) -> asyncpg.Record:
    row = await tx.fetchrow(
        f"select {columns} from crm.connection where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, connection_id,
    )  # fmt: skip
    if row is None:
        raise UnknownConnection
    return row


async def get(tx: Tx, connection_id: UUID) -> dict[str, Any]:
    """Return what may be shown of a connection.

    :raises UnknownConnection: when there is none.
    """
    return dict(await _get(tx, connection_id))


async def listing(tx: Tx) -> list[dict[str, Any]]:
    """Return what may be shown of every connection; a firm has few."""
    rows = await tx.fetch(
        f"select {COLUMNS} from crm.connection where tenant_id = $1::uuid order by created_at, id", tx.actor.tenant_id
    )
    return [dict(row) for row in rows]


def _check(source: Source, secrets: Mapping[str, str], consents: Consents, *, whole: bool) -> None:
    needed = SECRETS[source]
    known = needed | ACCESS[source] | OPTIONAL.get(source, frozenset())
    fields = {f"secrets.{name}": "this source has no such secret" for name in secrets.keys() - known}
    if whole:
        fields |= {f"secrets.{name}": "this source needs it" for name in needed - secrets.keys()}
    fields |= {
        f"consents.{question}": "channels are call, email, sms, whatsapp"
        for question, to in consents.items()
        if not CHANNELS.issuperset(to)
    }
    if fields:
        raise WrongSecrets(fields=fields)


async def _require_team(tx: Tx, team_id: UUID | None) -> None:
    known = team_id is None or await tx.fetchval(
        "select exists (select from crm.team where tenant_id = $1::uuid and id = $2::uuid)", tx.actor.tenant_id, team_id
    )
    if not known:
        raise UnknownTeam(fields={"team_id": "no such team"})


@operation("connection.manage")
async def create(
    tx: Tx,
    *,
    source: Source,
    name: str,
    secrets: Mapping[str, str],
    consents: Consents | None = None,
    team_id: UUID | None = None,
    now: datetime,
) -> UUID:
    """Take webhooks of a source from now on; its leads go to `team_id`, or to the default team.

    `consents` maps a question of the forms (Meta's checkbox key, Google's column id) to the channels it asks for.

    :raises WrongSecrets: when one is missing or unknown, or a channel is unknown.
    :raises UnknownTeam: when there is no such team.
    """
    _check(source, secrets, consents or {}, whole=True)
    await _require_team(tx, team_id)
    connection_id = ids.new()
    await tx.execute(
        """insert into crm.connection (tenant_id, id, source, name, secrets_sealed, team_id, created_at, updated_at)
           values ($1::uuid, $2::uuid, $3::text, $4::text, $5::bytea, $6::uuid, $7::timestamptz, $7::timestamptz)""",
        tx.actor.tenant_id, connection_id, source.value, name,
        _seal(tx.actor.tenant_id, connection_id, secrets, consents or {}), team_id, now,
    )  # fmt: skip
    await _note(tx, connection_id, "connection.created", {"source": source.value, "team_id": team_id}, at=now)
    return connection_id


@operation("connection.manage")
async def update(
    tx: Tx,
    connection_id: UUID,
    *,
    name: str | None = None,
    is_active: bool | None = None,
    secrets: Mapping[str, str] | None = None,
    consents: Consents | None = None,
    now: datetime,
) -> None:
    """Change a connection; None leaves a thing as it is, and `secrets` replaces those it names.

    Messages that could not be worked off are tried again with the new secrets.

    :raises UnknownConnection: when there is none.
    :raises WrongSecrets: when its source has no such secret, or a channel is unknown.
    """
    await tx.fetchrow(
        "select from crm.connection where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, connection_id,
    )  # fmt: skip
    before = await load(tx, connection_id)
    _check(before.source, secrets or {}, consents or {}, whole=False)
    sealed = _seal(
        tx.actor.tenant_id, connection_id, {**before.secrets, **(secrets or {})},
        before.consents if consents is None else consents,
    )  # fmt: skip
    await tx.execute(
        """update crm.connection
              set name = coalesce($3::text, name), is_active = coalesce($4::boolean, is_active),
                  secrets_sealed = $5::bytea, updated_at = $6::timestamptz
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, connection_id, name, is_active, sealed, now,
    )  # fmt: skip
    if secrets:
        await health.unblock(tx, connection_id)
        await _forget_token(tx, connection_id)
        await tx.execute(
            """update crm.inbox_message set status = 'pending', attempts = 0, next_attempt_at = $3::timestamptz
                where tenant_id = $1::uuid and connection_id = $2::uuid and status in ('pending', 'failed')""",
            tx.actor.tenant_id, connection_id, now,
        )  # fmt: skip
    given = {"name": name, "is_active": is_active, "secrets": secrets, "consents": consents}
    changed = sorted(field for field, value in given.items() if value is not None)
    await _note(tx, connection_id, "connection.updated", {"fields": changed, "secrets": sorted(secrets or {})}, at=now)


async def _forget_token(tx: Tx, connection_id: UUID) -> None:
    """Forget what was heard of a token: other secrets are another matter, and are asked about at once."""
    await tx.execute(
        "delete from crm.connection_token where tenant_id = $1::uuid and connection_id = $2::uuid",
        tx.actor.tenant_id, connection_id,
    )  # fmt: skip


@operation("inbox.process")
async def renew(tx: Tx, connection_id: UUID, *, access_token: str, now: datetime) -> None:
    """Replace the token of a connection by one that its source gave for it; what waited for it is tried again.

    :raises UnknownConnection: when there is none.
    """
    await tx.fetchrow(
        "select from crm.connection where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, connection_id,
    )  # fmt: skip
    before = await load(tx, connection_id)
    secrets = {**before.secrets, "access_token": access_token}
    await tx.execute(
        "update crm.connection set secrets_sealed = $3::bytea, updated_at = $4::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, connection_id, _seal(tx.actor.tenant_id, connection_id, secrets, before.consents), now,
    )  # fmt: skip
    await health.unblock(tx, connection_id)
    await tx.execute(
        """update crm.inbox_message set status = 'pending', attempts = 0, next_attempt_at = $3::timestamptz
            where tenant_id = $1::uuid and connection_id = $2::uuid and status in ('pending', 'failed')
              and last_error = $4::text""",
        tx.actor.tenant_id, connection_id, now, f"{before.source.value}.token",
    )  # fmt: skip
    await events.record(tx, "connection", connection_id, "connection.token_refreshed", at=now)


async def _note(tx: Tx, connection_id: UUID, what: str, detail: Mapping[str, Any], *, at: datetime) -> None:
    await events.record(tx, "connection", connection_id, what, detail, at=at)
    await audit.record(tx, what, "connection", connection_id, detail, at=at)
