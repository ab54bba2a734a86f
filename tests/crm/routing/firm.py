"""A small firm for tests of distribution: people hired, leads that arrive, rule sets published."""

from crm import db, ids
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.routing import operations as routing
from crm.routing import sets


async def team(tenant, name, now):
    """Make a team and return its id."""
    team_id = ids.new()
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "insert into crm.team (tenant_id, id, name, created_at, updated_at)"
            " values ($1::uuid, $2::uuid, $3::text, $4::timestamptz, $4::timestamptz)",
            tenant.id, team_id, name, now,
        )  # fmt: skip
    return team_id


async def hire(tenant, now, *, weight=1, capacity=50, team_id=None):
    """Make one more agent who takes leads, and return their id."""
    user_id, team_id = ids.new(), team_id or tenant.team_id
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "insert into crm.user_account (tenant_id, id, email, name, roles, team_id, created_at, updated_at) values"
            " ($1::uuid, $2::uuid, $3::text, 'Agent', '{sales_agent}', $4::uuid, $5::timestamptz, $5::timestamptz)",
            tenant.id, user_id, f"{user_id}@acme.example", team_id, now,
        )  # fmt: skip
    await seat(tenant, user_id, now, weight=weight, capacity=capacity, team_id=team_id)
    return user_id


async def seat(tenant, user_id, now, *, team_id=None, weight=1, capacity=50, accepting=True):
    """Set how somebody takes part in a team's distribution."""
    await db.run(
        tenant.admin,
        lambda tx: routing.set_member(
            tx, team_id or tenant.team_id, user_id, weight=weight, capacity=capacity, accepting=accepting, now=now
        ),
    )


async def profile(tenant, user_id, now, **wanted):
    """Set fields of somebody's profile."""
    from crm.users import profiles

    await db.run(tenant.admin, lambda tx: profiles.change(tx, user_id, wanted, now=now))


async def arrive(tenant, how_many, now, **more):
    """Store leads and return their ids."""
    batch = [NewLead(source="api", **more) for _ in range(how_many)]
    stored = await db.run(tenant.system, lambda tx: intake.create_many(tx, batch, now=now))
    return [one.lead_id for one in stored]


async def route(tenant, arrived, now):
    """Run distribution for leads that arrived."""
    return await db.run(tenant.system, lambda tx: routing.route(tx, arrived, now=now))


async def sweep(tenant, now):
    """Run distribution for whatever waits."""
    return await db.run(tenant.system, lambda tx: routing.sweep(tx, now=now))


async def draft(tenant, definition, now, name="rules"):
    """Store a draft and return its id."""
    return await db.run(tenant.admin, lambda tx: sets.draft(tx, name=name, definition=definition, now=now))


async def publish(tenant, definition, now, name="rules"):
    """Store and publish a rule set and return its id."""
    rule_set_id = await draft(tenant, definition, now, name)
    await db.run(tenant.admin, lambda tx: sets.publish(tx, rule_set_id, now=now))
    return rule_set_id


async def owners(tenant):
    """Return each lead's owner."""
    async with db.transaction(tenant.system) as tx:
        return dict(await tx.fetch("select id, owner_id from crm.lead"))


async def ask(tenant, sql, *args):
    """Return one value."""
    async with db.transaction(tenant.system) as tx:
        return await tx.fetchval(sql, *args)
