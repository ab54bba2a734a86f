"""Tokens: asked about, renewed before they end, told of when they cannot be; and never repeated in what we log."""

import logging
from datetime import timedelta

import pytest

from crm import db
from crm.inbox import connections, overview, tokens
from crm.inbox.connections import Source
from crm.inbox.reading import NotNow
from ingestion.sources import access
from tests.ingestion.sources.conftest import GOOGLE, META


async def look_after(tenant, now):
    """Do what the regular job does for one tenant; return how many connections it was about."""
    due = await db.run(tenant.system, lambda tx: tokens.tasks(tx, now=now))
    for task in due:
        await access.look_after(tenant.system, task, now=now)
    return len(due)


async def shown(tenant, now):
    async with db.transaction(tenant.admin) as tx:
        [row] = await overview.listing(tx, now=now)
    return row


async def told(tenant):
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select event_type from crm.event_log where event_type like 'connection.%' order by id")
    return [row["event_type"] for row in rows if row["event_type"] != "connection.created"]


class TestMeta:
    async def test_says_how_long_a_token_is_good_for(self, tenant, graph, meta_connection, now):
        graph.token_ends = now + timedelta(days=40)

        await look_after(tenant, now)

        token = (await shown(tenant, now))["token"]
        assert (token["outlook"], token["expires_at"]) == ("valid", graph.token_ends)
        assert (await shown(tenant, now + timedelta(days=34)))["token"]["outlook"] == "expiring"
        assert (await shown(tenant, now + timedelta(days=41)))["token"]["outlook"] == "expired"
        assert await told(tenant) == []

    async def test_a_token_without_end_is_lasting(self, tenant, graph, meta_connection, now):
        before = (await shown(tenant, now))["token"]["outlook"]

        await look_after(tenant, now)

        assert (before, (await shown(tenant, now))["token"]["outlook"]) == ("unknown", "lasting")

    async def test_is_asked_every_few_hours(self, tenant, graph, meta_connection, now):
        asked = [await look_after(tenant, now + timedelta(hours=hours)) for hours in (0, 1, 5, 6, 7)]

        assert asked == [1, 0, 0, 1, 0]

    async def test_one_that_ends_soon_is_exchanged(self, tenant, graph, meta_connection, now):
        graph.token_ends = now + timedelta(days=14)

        await look_after(tenant, now)

        async with db.transaction(tenant.system) as tx:
            connection = await connections.load(tx, meta_connection)
        assert connection.secrets["access_token"] == graph.access_token == META["access_token"] + "+"
        assert (await shown(tenant, now))["token"]["expires_at"] == graph.token_ends.replace(microsecond=0)
        assert await told(tenant) == ["connection.token_refreshed"]

    async def test_one_that_cannot_be_exchanged_is_told_of_once(self, tenant, graph, meta_connection, now, monkeypatch):
        def refuse(self, connection):
            raise NotNow("meta.busy")

        monkeypatch.setattr(access.GraphClient, "exchange", refuse)
        graph.token_ends = now + timedelta(days=8)

        for hours in range(0, 72, 6):
            await look_after(tenant, now + timedelta(hours=hours))

        assert await told(tenant) == ["connection.token_expiring"]

    async def test_one_that_is_refused_is_told_of_once(self, tenant, graph, meta_connection, now):
        graph.access_token = "another token altogether"

        for hours in (0, 6, 12):
            await look_after(tenant, now + timedelta(hours=hours))

        assert (await shown(tenant, now))["token"]["outlook"] == "refused"
        assert await told(tenant) == ["connection.token_refused"]

    async def test_one_that_was_brought_is_looked_at_at_once(self, tenant, graph, meta_connection, now):
        graph.access_token = "a newer one"
        await look_after(tenant, now)
        before = (await shown(tenant, now))["token"]["outlook"]

        secrets = {"access_token": graph.access_token}
        await db.run(tenant.admin, lambda tx: connections.update(tx, meta_connection, secrets=secrets, now=now))
        meanwhile = (await shown(tenant, now))["token"]["outlook"]
        looked_after = await look_after(tenant, now + timedelta(minutes=5))

        assert (before, meanwhile, looked_after) == ("refused", "unknown", 1)
        assert (await shown(tenant, now))["token"]["outlook"] == "lasting"

    async def test_a_graph_that_keeps_failing_raises_the_alert(self, tenant, graph, meta_connection, now):
        graph.refuse_with = (500, 2)

        for n in range(7):
            await look_after(tenant, now + timedelta(minutes=n))

        assert await told(tenant) == ["connection.failing"]
        assert (await shown(tenant, now))["health"]["is_failing"]

    async def test_logs_hold_no_token(self, tenant, graph, meta_connection, now, caplog):
        with caplog.at_level(logging.DEBUG):
            await look_after(tenant, now)
            graph.refuse_with = (400, 100)
            await look_after(tenant, now + timedelta(hours=6))

        ours = [(each.name, each.getMessage()) for each in caplog.records if each.name != "uvicorn.access"]
        assert not any(META[secret] in str(ours) for secret in ("access_token", "app_secret"))


class TestGoogle:
    async def test_a_token_is_kept_until_shortly_before_its_end(self, tenant, ads, oauth, google_connection, now):
        async with db.transaction(tenant.system) as tx:
            connection = await connections.load(tx, google_connection)
        began = access.datetime.now(access.UTC)
        for minutes in (0, 10, 58):
            await access.ads_client(tenant.system, connection, now=began + timedelta(minutes=minutes))
        within = oauth.given

        await access.ads_client(tenant.system, connection, now=began + timedelta(minutes=59))

        assert (within, oauth.given) == (1, 2)

    async def test_is_sealed_and_never_shown(self, tenant, ads, oauth, google_connection, now):
        await look_after(tenant, now)

        async with db.transaction(tenant.system) as tx:
            row = await tx.fetchrow("select * from crm.connection_token")
            log = await tx.fetchval("select string_agg(payload_json::text, '') from crm.event_log")
        assert b"google-access-token" not in row["sealed"]
        assert "google-access-token" not in log + str(await shown(tenant, now))
        assert await told(tenant) == ["connection.token_refreshed"]

    async def test_a_refresh_token_that_ended_is_told_of_once(self, tenant, ads, oauth, google_connection, now):
        oauth.refuse_with = "invalid_grant"

        for n in range(3):
            await look_after(tenant, now + timedelta(minutes=5 * n))

        assert (await shown(tenant, now))["token"]["outlook"] == "refused"
        assert (await told(tenant)).count("connection.token_refused") == 1

    async def test_without_access_nothing_is_asked(self, tenant, oauth, now):
        key = {"google_key": GOOGLE["google_key"]}
        await db.run(
            tenant.admin,
            lambda tx: connections.create(tx, source=Source.google, name="webhook only", secrets=key, now=now),
        )

        await look_after(tenant, now)

        assert oauth.given == 0
        assert (await shown(tenant, now))["token"]["outlook"] == "unknown"


@pytest.mark.parametrize(
    ("status", "days", "wanted"),
    [
        (None, None, "unknown"), ("refused", 30, "refused"), ("valid", None, "lasting"), ("valid", 30, "valid"),
        ("valid", 7, "expiring"), ("valid", 0, "expired"), ("valid", -1, "expired"),
    ],
)  # fmt: skip
def test_outlook(now, status, days, wanted):
    expires_at = None if days is None else now + timedelta(days=days)

    assert tokens.outlook(status, expires_at, source=Source.meta, now=now) == wanted
