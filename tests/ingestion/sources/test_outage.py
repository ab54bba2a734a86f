"""A source down for an hour: nothing is lost or given up, one alert is raised, and soon after it all are leads."""

from datetime import timedelta

import pytest

from crm import db
from crm.inbox import connections, overview
from crm.inbox import operations as inbox
from crm.inbox.chore import Inbox
from ingestion.sources import loopback, parsers
from tests.ingestion.sources.conftest import META

MINUTE = timedelta(minutes=1)
STEP = timedelta(seconds=15)


class Duty:
    """The worker's inbox at an instant, webhooks as they come, and what who is on duty sees."""

    def __init__(self, tenant, connection, graph, now):
        self.tenant, self.connection, self.graph, self.now = tenant, connection, graph, now
        self.inbox = Inbox(lambda: self.now, parsers())

    async def enquire(self):
        lead_id = self.graph.put({"email": f"{len(self.graph.leads)}@example.com"}, at=self.now, form_id="9")
        body, _ = loopback.webhook(self.graph.leads[lead_id], app_secret=META["app_secret"], at=self.now)
        await db.run(self.tenant.system, lambda tx: inbox.receive(tx, self.connection, body, now=self.now))

    async def live(self, span, *, every=None):
        """Let time pass, with an enquiry every so often."""
        until, began = self.now + span, self.now
        while self.now < until:
            if every and (self.now - began) % every == timedelta(0):
                await self.enquire()
            await self.inbox.work(self.tenant.id)
            self.now += STEP

    async def sees(self):
        async with db.transaction(self.tenant.admin) as tx:
            [row] = await overview.listing(tx, now=self.now)
        return row

    async def ask(self, sql):
        async with db.transaction(self.tenant.system) as tx:
            return await tx.fetchval(sql)

    async def told(self):
        """Return what happened to the connection since it was made."""
        async with db.transaction(self.tenant.system) as tx:
            rows = await tx.fetch("select event_type from crm.event_log where aggregate_type = 'connection'")
        return [row["event_type"] for row in rows if row["event_type"] != "connection.created"]


@pytest.fixture
async def duty(tenant, graph, meta_connection, now):
    async with db.transaction(tenant.system) as tx:
        return Duty(tenant, await connections.load(tx, meta_connection), graph, now)


async def test_an_hour_without_meta(duty, graph):
    graph.refuse_with = (503, 2)
    began = duty.now

    await duty.live(timedelta(hours=1), every=MINUTE)

    down, asked = await duty.sees(), graph.asked
    assert (down["health"]["is_failing"], down["health"]["failing_since"]) == (True, began)
    assert down["health"]["last_error"] == "meta.busy"
    assert down["inbox"] == {"waiting": 60, "oldest_at": began, "given_up": 0}
    assert await duty.told() == ["connection.failing"]
    assert asked < 200, "it was left in peace: not asked for every lead again and again"

    graph.refuse_with = None
    await duty.live(8 * MINUTE)

    back = await duty.sees()
    assert (back["health"]["is_failing"], back["health"]["failures"]) == (False, 0)
    assert back["inbox"] == {"waiting": 0, "oldest_at": None, "given_up": 0}
    assert await duty.told() == ["connection.failing", "connection.recovered"]
    assert await duty.ask("select count(*) from crm.lead") == len(graph.leads) == 60


async def test_a_token_that_ended_waits_for_a_new_one(duty, graph):
    graph.access_token = "another"
    await duty.live(10 * MINUTE, every=MINUTE)
    stuck = await duty.sees()

    secrets = {"access_token": graph.access_token}
    await db.run(
        duty.tenant.admin, lambda tx: connections.update(tx, duty.connection.id, secrets=secrets, now=duty.now)
    )
    await duty.live(2 * MINUTE)

    assert (stuck["health"]["last_error"], stuck["inbox"]["waiting"]) == ("meta.token", 10)
    assert (await duty.sees())["inbox"]["waiting"] == 0
    assert await duty.ask("select count(*) from crm.lead") == 10
