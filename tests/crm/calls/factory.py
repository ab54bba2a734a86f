"""Calls as they stand in the tables, for tests of what comes after the exchange has told of them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from crm import db, ids
from crm.actor import Actor
from crm.calls import rows, wrapping
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.sql import Args
from tests.conftest import Tenant

KINDS = {
    "id": "uuid", "lead_id": "uuid", "contact_id": "uuid", "agent_user_id": "uuid", "requested_by": "uuid",
    "campaign_id": "uuid", "process_version_id": "uuid", "talk_s": "float8", "cause": "int",
}  # fmt: skip


async def make_lead(tenant: Tenant, now: datetime, owner: Actor | None = None, **fields: Any) -> tuple[UUID, UUID]:
    """Store a lead of somebody (default: nobody) and return its id and its contact's."""
    lead = NewLead(**({"source": "api", "email": f"{ids.new().hex}@example.com"} | fields))
    made = await db.run(tenant.system, lambda tx: intake.create(tx, lead, now=now))
    if owner is not None:
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "update crm.lead set owner_id = $2::uuid, team_id = $3::uuid, status = 'assigned' where id = $1::uuid",
                made.lead_id, owner.user_id, owner.team_id,
            )  # fmt: skip
    return made.lead_id, made.contact_id


async def make_call(tenant: Tenant, now: datetime, *, agent: Actor | None = None, **changed: Any) -> UUID:
    """Store a call of two minutes that has just ended, of an agent (default: of nobody)."""
    began = now - timedelta(minutes=2)
    values: dict[str, Any] = {
        "id": ids.new(), "direction": "agent_first", "purpose": "click", "status": "ended", "outcome": "answered",
        "agent_user_id": agent and agent.user_id, "requested_by": agent and agent.user_id, "requested_at": began,
        "started_at": began, "answered_at": began + timedelta(seconds=10),
        "connected_at": began + timedelta(seconds=10), "ended_at": now, "talk_s": 110.0, "updated_at": now, **changed,
    }  # fmt: skip
    args = Args([tenant.id])
    placed = ", ".join(
        args.add(value, KINDS.get(name, "timestamptz" if name.endswith("_at") else "text"))
        for name, value in values.items()
    )
    async with db.transaction(tenant.system) as tx:
        await tx.execute(f"insert into crm.call (tenant_id, {', '.join(values)}) values ($1::uuid, {placed})", *args)
    return values["id"]


async def make_wrapping(tenant: Tenant, now: datetime, *, agent: Actor, **changed: Any) -> UUID:
    """Store a call that has just ended and that its agent is writing up."""
    call_id = await make_call(tenant, now, agent=agent, **changed)

    async def begin(tx: db.Tx) -> None:
        assert await wrapping.begin(tx, await rows.lock(tx, call_id), now=now)

    await db.run(tenant.system, begin)
    return call_id


async def call(tenant: Tenant, call_id: UUID) -> dict[str, Any]:
    """Return a call's row."""
    async with db.transaction(tenant.system) as tx:
        return dict(await tx.fetchrow("select * from crm.call where id = $1::uuid", call_id))


async def told(tenant: Tenant, call_id: UUID) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a call in their order."""
    async with db.transaction(tenant.system) as tx:
        found = await tx.fetch(
            "select event_type, payload_json from crm.event_log where aggregate_id = $1::uuid order by tx_id, id",
            call_id,
        )
    return [(row["event_type"], row["payload_json"]) for row in found]
