"""Whom events of callbacks are told live: their agent, the lead's owner, and who manages either's team."""

from datetime import datetime
from uuid import UUID

from crm import db, feed, ids
from crm.actor import Actor
from crm.callbacks.rules import Kind
from crm.events.log import Event
from tests.conftest import Tenant
from tests.crm.callbacks.floor import HOUR, on_duty, open_queue, people, promise


async def event_of(tenant: Tenant, callback_id: UUID) -> Event:
    """Return the last event of a callback."""
    async with db.transaction(tenant.system) as tx:
        row = await tx.fetchrow(
            "select * from crm.event_log where aggregate_id = $1::uuid order by id desc limit 1", callback_id
        )
    assert row is not None
    return Event(
        row["tenant_id"], row["id"], 1, row["aggregate_type"], row["aggregate_id"], row["event_type"],
        row["payload_json"], row["occurred_at"], row["created_at"], row["actor_user_id"], row["causation_id"],
    )  # fmt: skip


async def test_are_those_whom_it_concerns(tenant: Tenant, other_tenant: Tenant, now: datetime) -> None:
    await open_queue(tenant, now - HOUR)
    agent = await on_duty(tenant, now)
    [person] = await people(tenant, 1, now)
    made = await promise(tenant, person, now, kind=Kind.agent, agent_user_id=agent.user_id)
    event = await event_of(tenant, made)
    stranger = Actor(tenant.id, ids.new(), ids.new(), agent.roles, agent.permissions)

    async with db.transaction(tenant.system) as tx:
        owners = await feed.owners_of(tx, [event])

    assert event.aggregate_type in feed.KINDS
    assert [
        feed.may_see(each, event, owners)
        for each in (agent, tenant.sales_manager, tenant.admin, stranger, other_tenant.admin)
    ] == [True, True, True, False, False]
