"""Marts that follow events hold what a rebuild from nothing holds, whatever happened, in whatever order it was told, be
they built for all firms at once or firm by firm."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, note, settings

from crm import db, ids
from crm.actor import Actor
from crm.agents import operations as agents
from crm.calls import history
from crm.calls.story import Outcome
from crm.leads import intake
from kpis import project
from orchestration import warehouse
from tests.conftest import Tenant, make_tenant
from tests.crm.agents import floor
from tests.dbt_project import golden, telephony
from tests.dbt_project.histories import Step, World, drawn
from tests.pipeline import Build, rows

IS_SOAK = settings.default is not None and settings.default.max_examples > 100
LEAST_STEPS, LEAST_KINDS = (0, 0) if IS_SOAK else (12, 12)
"""Of each round, and of all: the one history of a quick run should have something of everything."""
DOMAINS = ("leads", "money", "quality", "telephony")
UNTESTED = ("--exclude-resource-type", "test")


@cache
def followed() -> dict[str, str]:
    """Return every model that follows events, with its schema."""
    nodes = json.loads((project.target() / "manifest.json").read_text())["nodes"].values()
    return {
        node["name"]: node["schema"]
        for node in nodes
        if node["config"].get("materialized") == "incremental" and node["config"].get("full_refresh") is not False
    }


def everything() -> list[str]:
    """Select those models and what they read."""
    return ["--select", *(f"+{name}" for name in followed()), *UNTESTED]


def tables() -> list[str]:
    """Select of those what is stored: views stand as they are."""
    kinds = ("incremental", "table")
    return [
        "--select", *(f"+{name},config.materialized:{kind}" for name in followed() for kind in kinds), *UNTESTED
    ]  # fmt: skip


class TestFollowing:
    @settings(
        max_examples=30 if IS_SOAK else 1,
        derandomize=not IS_SOAK,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink] if IS_SOAK else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(rounds=drawn(LEAST_STEPS))
    async def test_equals_building_anew(self, build: Build, database: str, rounds: Sequence[Sequence[Step]]) -> None:
        for steps in rounds:
            note(f"then: {steps}")
        assume(len({type(step) for each in rounds for step in each}) >= LEAST_KINDS)
        tenant = await make_tenant(ids.new().hex)
        world = await World.opened(tenant)
        await _happen(world, rounds[0])
        await build(*everything())
        await _happen(world, rounds[1])
        # Transactions that begin before the build and end after it: the build must not skip them for good.
        async with db.transaction(tenant.system) as tx, db.transaction(world.agents[2]) as other:
            await intake.create(tx, intake.NewLead(source="api", name="Geç", platform="late"), now=golden.RECEIVED)
            late = telephony.past("late", telephony.DAY, Outcome.answered, 3.0, talk_s=30.0)
            await history.store(tx, [late], now=golden.RECEIVED)
            await agents.sign_on(other, now=world.begin)
            await _happen(world, rounds[2])
            await build(*tables(), by_firm=DOMAINS)
        await _happen(world, rounds[3])
        await world.close()
        await build(*tables())
        shown = _content(tenant)

        await build("--full-refresh", *tables())

        anew = _content(tenant)
        assert shown == anew
        assert all(anew.values()), [name for name, rows in anew.items() if not rows]
        assert any("'late'" in row for row in anew["marts.fct_lead_cycle"])
        for agent in world.agents:
            assert await _states(tenant, agent) == [
                (row["session_id"], row["state"], row["reason"], row["call_id"], row["started_at"], row["ended_at"])
                for row in await floor.intervals(tenant, agent)
            ]


async def _happen(world: World, steps: Sequence[Step]) -> None:
    for step in steps:
        await step.happen(world)


def _content(tenant: Tenant) -> dict[str, list[str]]:
    """Return a firm's rows of every table that follows events, as they were built and as they were published."""
    places = [(schema, name) for name, schema in followed().items()]
    places += [("published", name) for schema, name in places if schema == "marts"]
    with warehouse.connect() as connection:
        return {f"{schema}.{name}": _rows(connection, f"{schema}.{name}", tenant) for schema, name in places}


def _rows(connection: Any, table: str, tenant: Tenant) -> list[str]:
    found = connection.execute(f"select * from {table} where tenant_id = %s", (tenant.id,)).fetchall()
    return sorted(str(row) for row in found)


async def _states(tenant: Tenant, agent: Actor) -> list[tuple[Any, ...]]:
    """Return an agent's states as the mart has them, those that a move to another team split put together again."""
    found = await rows(
        tenant.admin,
        f"select * from published.fct_agent_state_interval where agent_id = '{agent.user_id}' order by started_at",
    )
    own = {row["started_at"] for row in await floor.intervals(tenant, agent)}
    states: list[list[Any]] = []
    for row in found:
        if row["started_at"] in own:
            states.append(
                [row["session_id"], row["state"], row["reason"], row["call_id"], row["started_at"], row["ended_at"]]
            )
        else:
            states[-1][-1] = row["ended_at"]
    return [tuple(state) for state in states]
