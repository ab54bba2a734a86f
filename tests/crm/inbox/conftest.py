"""A connection to each source."""

import pytest

from crm import db
from crm.inbox import connections
from crm.inbox.connections import Source

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
