"""Wrap-ups under whatever agents, supervisors and the clock do, in any order: what must hold after every step."""

import random
from contextlib import suppress
from datetime import timedelta

import pytest

from crm import db, errors
from crm.agents.rules import State
from crm.calls import catalogue, dispositions, rows, wrapping
from tests.crm.agents import floor
from tests.crm.calls.factory import make_lead, make_wrapping, told

CODES = sorted(set(catalogue.DEFAULT) - {"callback", "other"})


async def step(chance, tenant, agent, calls, now):
    """Do one thing that somebody may do; refusals are expected."""
    what = chance.choice(["ends", "says", "corrects", "extends", "clock"])
    call_id = chance.choice(calls) if calls else None
    if what == "ends" and await floor.standing(tenant, agent) == ("available", None):
        lead_id, contact_id = await make_lead(tenant, now, agent)
        for to in (State.reserved, State.on_call):
            await floor.move(tenant, agent, to, now)
        calls.append(await make_wrapping(tenant, now, agent=agent, lead_id=lead_id, contact_id=contact_id))
    elif what == "clock":
        await db.run(tenant.system, lambda tx: dispositions.force_due(tx, now=now))
        return now
    elif call_id is not None:
        who = tenant.sales_manager if what == "corrects" else agent
        with suppress(errors.Conflict):
            if what == "extends":
                await db.run(agent, lambda tx: wrapping.extend(tx, call_id, now=now))
            elif what != "ends":
                code = chance.choice(CODES)
                await db.run(who, lambda tx: dispositions.dispose(tx, call_id, code, now=now))
    return None


async def require_sound(tenant, agent, calls, now, forced_at):
    """Check every call, and the agent."""
    async with db.transaction(tenant.system) as tx:
        found = await tx.fetch("select * from crm.call order by id")
    assert sorted(row["id"] for row in found) == sorted(calls)
    for row in found:
        is_open = row["status"] == "wrap_up"
        assert is_open is (row["disposition"] is None) is (row["wrap_ended_at"] is None)
        assert row["is_disposition_forced"] is (row["disposition"] == catalogue.FORCED)
        assert not is_open or row["wrap_until"] > forced_at, "what is due is closed"
        assert is_open or row["wrap_began_at"] <= row["wrap_ended_at"] <= now
        statuses = [each["status"] for each in rows.steps_of(row)]
        assert statuses == ["wrap_up"] + ["dispositioned"] * (not is_open)
        said = [payload for event, payload in await told(tenant, row["id"]) if event == "call.dispositioned"]
        assert [each["previous"] for each in said] == [None, *(each["disposition"] for each in said)][:-1] or not said
        assert (said[-1]["disposition"] if said else None) == row["disposition"]
    state, _ = await floor.standing(tenant, agent)
    writing = [row["id"] for row in found if row["status"] == "wrap_up"]
    assert state == ("wrap_up" if writing else "available")
    assert len(writing) <= 1
    await floor.require_tiled(tenant, agent)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens(tenant, now, seed):
    chance = random.Random(seed)
    agent = await floor.signed_on(tenant, now)
    calls, forced_at = [], now
    for _ in range(40):
        now += timedelta(seconds=chance.choice([1, 5, 20, 45]))
        forced_at = await step(chance, tenant, agent, calls, now) or forced_at
        await require_sound(tenant, agent, calls, now, forced_at)
    assert len(calls) > 1
