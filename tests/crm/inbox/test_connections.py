"""Connections: secrets go in and do not come out."""

import pytest

from crm import db
from crm.actor import Forbidden
from crm.inbox import connections
from crm.inbox.connections import Source, UnknownConnection, UnknownTeam, WrongSecrets
from tests.crm.inbox.conftest import GOOGLE, META, connect


class TestCreate:
    async def test_seals_the_secrets(self, tenant, meta):
        async with db.transaction(tenant.system) as tx:
            row = await tx.fetchrow("select * from crm.connection")
            events = await tx.fetchval("select string_agg(payload_json::text, '') from crm.event_log")
            audits = await tx.fetchval("select string_agg(metadata_json::text, '') from crm.audit_log")
        for secret in META.values():
            assert secret.encode() not in row["secrets_sealed"]
            assert secret not in events + audits
        assert dict(meta.secrets) == META
        assert "secret" not in repr(meta)

    async def test_shows_everything_else(self, tenant, meta):
        async with db.transaction(tenant.admin) as tx:
            [shown] = await connections.listing(tx)
        assert "secrets_sealed" not in shown
        assert (shown["source"], shown["is_active"]) == ("meta", True)

    @pytest.mark.parametrize("secrets", [{}, {"google_key": "k" * 10, "app_secret": "s" * 10}])
    async def test_refuses_other_secrets_than_the_sources(self, tenant, now, secrets):
        with pytest.raises(WrongSecrets):
            await connect(tenant, Source.google, secrets, now)

    async def test_refuses_a_channel_nobody_knows(self, tenant, now):
        with pytest.raises(WrongSecrets):
            await connect(tenant, Source.google, GOOGLE, now, consents={"q": ["fax"]})

    async def test_refuses_the_team_of_another_firm(self, tenant, other_tenant, now):
        with pytest.raises(UnknownTeam):
            await connect(tenant, Source.google, GOOGLE, now, team_id=other_tenant.team_id)

    async def test_refuses_who_may_not(self, tenant, now):
        with pytest.raises(Forbidden):
            await db.run(
                tenant.sales_manager,
                lambda tx: connections.create(tx, source=Source.google, name="g", secrets=GOOGLE, now=now),
            )


class TestUpdate:
    async def test_replaces_the_secrets_it_names(self, tenant, meta, now):
        await db.run(
            tenant.admin, lambda tx: connections.update(tx, meta.id, secrets={"access_token": "a newer one"}, now=now)
        )

        async with db.transaction(tenant.system) as tx:
            assert dict((await connections.load(tx, meta.id)).secrets) == {**META, "access_token": "a newer one"}

    async def test_another_firms_is_not_found(self, other_tenant, meta, now):
        with pytest.raises(UnknownConnection):
            await db.run(other_tenant.admin, lambda tx: connections.update(tx, meta.id, name="x", now=now))


class TestFind:
    async def test_needs_no_id_when_there_is_one_only(self, tenant, meta):
        assert await connections.find("meta") == (tenant.id, meta.id)

    async def test_needs_an_id_when_there_are_two(self, tenant, other_tenant, meta, now):
        other = await connect(other_tenant, Source.meta, META, now)

        with pytest.raises(UnknownConnection):
            await connections.find("meta")
        assert await connections.find("meta", other.id) == (other_tenant.id, other.id)

    async def test_passes_over_what_is_switched_off(self, tenant, meta, now):
        await db.run(tenant.admin, lambda tx: connections.update(tx, meta.id, is_active=False, now=now))

        with pytest.raises(UnknownConnection):
            await connections.find("meta", meta.id)
