"""However an agent's states change, at once, late and again: they tile the session, and the database holds it so."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm import db, errors, ids
from crm.actor import Actor
from crm.agents import mirror, operations, sessions, states, watching
from crm.agents.rules import By, State
from tests.conftest import Tenant
from tests.crm.agents import floor

START = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
CALLS = [UUID(int=n) for n in (1, 2)]

AT = st.integers(0, 240).map(lambda seconds: START + timedelta(seconds=seconds))
MOVE = st.tuples(
    st.just("move"), AT, st.sampled_from(State), st.sampled_from([*CALLS, None]), st.none() | AT, st.sampled_from(By)
)
OWN = st.tuples(st.sampled_from(["sign_on", "sign_off", "beat", "make_ready", "pause", "sweep"]), AT)
OTHER = st.tuples(st.sampled_from(["reserve", "missed", "pause_other", "sign_off_other"]), AT, st.sampled_from(CALLS))
HEARD = st.tuples(st.just("heard"), AT, st.booleans(), st.sampled_from(["", "coffee", "santral.paused.break"]))
EXAMPLES = max(60, settings.default.max_examples // 5)
"""Each is twenty-five transactions: fewer than of rules, also in the long runs."""
CHANGE = MOVE | OWN | OTHER | HEARD


async def change(tenant: Tenant, agent: Actor, what: tuple) -> None:
    """Do one thing to an agent; what is refused changes nothing."""
    name, at, *rest = what
    manager, user_id = tenant.sales_manager, agent.user_id
    try:
        match name:
            case "move":
                to, call_id, until, by = rest
                await floor.move(tenant, agent, to, at, by=by, call_id=call_id, until=until)
            case "pause":
                await db.run(agent, lambda tx: operations.pause(tx, "break", now=at))
            case "sweep":
                await db.run(tenant.system, lambda tx: watching.sweep(tx, now=at))
            case "reserve":
                await db.run(tenant.system, lambda tx: states.reserve(tx, user_id, rest[0], now=at))
            case "missed":
                await db.run(tenant.system, lambda tx: states.missed(tx, user_id, rest[0], now=at))
            case "pause_other":
                await db.run(manager, lambda tx: operations.pause_other(tx, user_id, "meeting", now=at))
            case "sign_off_other":
                await db.run(manager, lambda tx: operations.sign_off_other(tx, user_id, "shift_over", now=at))
            case "heard":
                await db.run(tenant.system, lambda tx: mirror.heard(tx, f"PJSIP/{user_id}", rest[0], rest[1], now=at))
            case own:
                await db.run(agent, lambda tx: getattr(operations, own)(tx, now=at))
    except errors.CrmError:
        pass


def telephone_of(agent: Actor) -> str:
    """Return an endpoint of one agent's own, without digits: a long row of them would be somebody's number."""
    return "PJSIP/" + "".join(chr(ord("a") + int(digit, 16)) for digit in agent.user_id.hex)


class TestTiling:
    @settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(changes=st.lists(CHANGE, min_size=1, max_size=25))
    async def test_holds_after_any_changes_in_any_order_of_time(self, tenant: Tenant, changes: list[tuple]) -> None:
        [agent] = await floor.hire(tenant, 1, START)
        await floor.telephone(tenant, START, actor=agent, endpoint=telephone_of(agent))

        for each in changes:
            await change(tenant, agent, each)
            await floor.require_tiled(tenant, agent)

        told = await floor.told(tenant, "agent.state_changed", agent)
        assert [each["from"] for each in told[1:]] == [each["to"] for each in told[:-1]], "every change is an event"
        assert (told[-1]["to"] if told else "offline") == (await floor.standing(tenant, agent))[0]

    async def test_holds_under_changes_at_the_same_time(self, tenant: Tenant) -> None:
        agents = await floor.hire(tenant, 3, START)
        for n, agent in enumerate(agents):
            await floor.signed_on(tenant, START, actor=agent, endpoint=f"PJSIP/a-{n}")
        drawn, seconds = random.Random(4), iter(range(10_000))

        async def worker(seed: int) -> None:
            mine = random.Random(seed)
            for _ in range(60):
                at = START + timedelta(seconds=next(seconds) + mine.uniform(-3, 3))
                kind = mine.choice(["move", "move", "pause", "make_ready", "beat", "sweep", "sign_on", "sign_off"])
                rest = (mine.choice(list(State)), mine.choice(CALLS), None, mine.choice(list(By)))
                await change(tenant, mine.choice(agents), (kind, at, *(rest if kind == "move" else ())))

        await asyncio.gather(*(worker(drawn.randrange(1_000_000)) for _ in range(6)))

        changes = 0
        for agent in agents:
            await floor.require_tiled(tenant, agent)
            told = await floor.told(tenant, "agent.state_changed", agent)
            assert [each["from"] for each in told[1:]] == [each["to"] for each in told[:-1]]
            changes += len(await floor.intervals(tenant, agent))
        assert changes > 12

    async def test_lets_one_of_two_calls_have_an_agent(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        async def reserve() -> bool:
            try:
                await db.run(tenant.system, lambda tx: states.reserve(tx, agent.user_id, ids.new(), now=now))
            except states.AgentBusy:
                return False
            return True

        assert sorted(await asyncio.gather(*(reserve() for _ in range(5)))) == [False] * 4 + [True]


class TestDatabase:
    """What the tables themselves refuse, whoever writes."""

    INSERT = (
        "insert into crm.agent_state (tenant_id, session_id, user_id, state, started_at, ended_at, follows)"
        " select tenant_id, id, user_id, 'available', $2::timestamptz, $3::timestamptz, $4::timestamptz"
        " from crm.agent_session where user_id = $1::uuid"
    )

    @pytest.mark.parametrize(
        ("starts", "ends", "follows"),
        [
            (5, None, None),  # a second open one, a second first one
            (5, 9, None),  # a second first one
            (20, None, 20),  # a gap
            (5, None, 5),  # an overlap: nothing ended then
            (10, None, 11),  # begins elsewhere than where it says
            (10, 10, 10),  # nothing at all
        ],
    )
    async def test_refuses_gaps_and_overlaps(
        self, tenant: Tenant, now: datetime, starts: int, ends: int | None, follows: int | None
    ) -> None:
        agent = await floor.signed_on(tenant, now)
        await db.run(agent, lambda tx: operations.pause(tx, "break", now=now + timedelta(seconds=10)))
        async with db.transaction(tenant.system) as tx:
            await tx.execute("delete from crm.agent_state where ended_at is null")

        at = [None if each is None else now + timedelta(seconds=each) for each in (starts, ends, follows)]

        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await db.run(tenant.system, lambda tx: tx.execute(self.INSERT, agent.user_id, *at))

    async def test_refuses_a_second_open_session(self, tenant: Tenant, now: datetime) -> None:
        agent = await floor.signed_on(tenant, now)

        with pytest.raises(asyncpg.UniqueViolationError):
            await db.run(tenant.system, lambda tx: sessions.begin(tx, agent.user_id, now=now))
