"""A connection to each source; messages received, worked off and looked at."""

import json

import pytest

from crm import db, vault
from crm.inbox import connections
from crm.inbox import operations as inbox
from crm.inbox.chore import Inbox
from crm.inbox.connections import Source
from crm.inbox.reading import Reading
from crm.leads.intake import NewLead

META = {"app_secret": "meta-app-secret", "verify_token": "meta-verify-token", "access_token": "meta-access-token"}
GOOGLE = {"google_key": "google-shared-key"}


async def connect(tenant, source, secrets, now, **more):
    connection_id = await db.run(
        tenant.admin,
        lambda tx: connections.create(tx, source=source, name=source.value, secrets=secrets, now=now, **more),
    )
    return await db.run(tenant.system, lambda tx: connections.load(tx, connection_id))


@pytest.fixture
async def meta(tenant, now):
    return await connect(tenant, Source.meta, META, now)


@pytest.fixture
async def google(tenant, now):
    return await connect(tenant, Source.google, GOOGLE, now)


BODY = json.dumps({"lead_id": "1", "phone": "+905321234567"}).encode() + b"\xff\x00"


async def receive(tenant, connection, body, now):
    return await db.run(tenant.system, lambda tx: inbox.receive(tx, connection, body, now=now))


async def message(tenant):
    async with db.transaction(tenant.system) as tx:
        return dict(await tx.fetchrow("select * from crm.inbox_message"))


async def count(tenant, table, where="true"):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetchval(f"select count(*)::int from crm.{table} where {where}")


async def work(tenant, parser, now, *, turns=1):
    """Let the chore work as a worker would, with one parser for every source."""
    chore = Inbox(lambda: now, dict.fromkeys(Source, parser))
    for _ in range(turns):
        await chore.work(tenant.id)


def gives(*leads):
    async def parse(body, connection):
        return Reading(leads)

    return parse


def raises(error):
    async def parse(body, connection):
        raise error

    return parse


LEAD = NewLead(source="google", external_id="1", phone="+90 532 123 45 67")


async def says(tenant, message_id):
    """What a message says now."""
    async with db.transaction(tenant.system) as tx:
        row = await tx.fetchrow("select key_id, sealed from crm.inbox_message where id = $1::uuid", message_id)
    keys = await vault.find(tenant.id, [row["key_id"]])
    return keys[row["key_id"]].open(row["sealed"]).encode("latin-1")
