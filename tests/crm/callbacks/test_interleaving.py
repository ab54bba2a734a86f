"""Whatever happens to callbacks, in whatever order: nobody is called twice for one, and nobody once it has ended."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from uuid import UUID

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm import db, errors
from crm.actor import Actor
from crm.callbacks import firing
from crm.callbacks import operations as callbacks
from crm.callbacks.rules import FOLLOWS, UNCOUNTED, Retries, Status
from tests.conftest import Tenant
from tests.crm.callbacks import floor

START = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
PEOPLE = 2
HAPPENS = {
    "requested": Status.requested, "scheduled": Status.scheduled, "rescheduled": Status.scheduled,
    "taken": Status.scheduled, "put_off": Status.scheduled, "attempted": Status.attempted,
    "completed": Status.completed, "failed": Status.failed, "expired": Status.expired, "cancelled": Status.cancelled,
}  # fmt: skip
"""Where a callback stands after each of its events."""

WHO = st.integers(0, PEOPLE - 1)
TURN = st.tuples(st.just("turn"), st.just(0))
THING = (
    TURN
    | TURN
    | TURN
    | st.tuples(st.sampled_from(["race", "killed"]), st.just(0))
    | st.tuples(st.sampled_from(["busy", "no_answer", "talk", "inbound", "cancel", "take", "later", "promise"]), WHO)
    | st.tuples(st.just("wait"), st.sampled_from([1, 6, 31, 200]))
)


class Killed(BaseException):
    """The process dies here."""


class World:
    """A firm with one agent and a few people who are promised callbacks, at an instant that moves on."""

    def __init__(self, tenant: Tenant, agent: Actor, people: list[tuple[UUID, UUID]]) -> None:
        self.tenant, self.agent, self.people = tenant, agent, people
        self.now = START

    async def do(self, thing: tuple[str, int]) -> None:
        """Let one thing happen; what is refused changes nothing."""
        name, which = thing
        self.now += timedelta(seconds=30)
        match name:
            case "wait":
                self.now += timedelta(minutes=which)
            case "turn":
                await floor.turn(self.tenant, self.now)
            case "race":
                await asyncio.gather(*(floor.turn(self.tenant, self.now) for _ in range(3)))
            case "killed":
                await self.die()
            case "promise":
                await self.attempt(floor.promise(self.tenant, self.people[which], self.now))
            case "inbound":
                call_id = await floor.calls_in(self.tenant, self.people[which], self.now)
                await self.talk(call_id)
            case "busy" | "no_answer" | "talk":
                await self.result(name, which)
            case _:
                await self.change(name, which)

    async def attempt(self, thing: Awaitable[object]) -> None:
        """Wait for something that may be refused."""
        with suppress(errors.CrmError):
            await thing

    async def die(self) -> None:
        """Have a worker die after all it did for a callback, before it is committed."""
        async with db.transaction(self.tenant.system) as tx:
            due = await firing.due(tx, now=self.now)
        for callback_id in due[:1]:
            with suppress(Killed, errors.CrmError):
                async with db.transaction(self.tenant.system) as tx:
                    await firing.fire(tx, callback_id, now=self.now)
                    raise Killed

    async def talk(self, call_id: UUID) -> None:
        await floor.talks(self.tenant, call_id, self.now, until=self.now + timedelta(seconds=20))
        await self.attempt(floor.finish_wrap(self.tenant, self.agent, self.now + timedelta(seconds=21)))

    async def result(self, name: str, which: int) -> None:
        """End a person's call for a callback, if one goes on."""
        for call in await floor.calls(self.tenant, contact_id=self.people[which][0], purpose="callback"):
            if call["ended_at"] is None and name == "talk":
                await self.talk(call["id"])
            elif call["ended_at"] is None:
                cause = floor.BUSY if name == "busy" else floor.NO_ANSWER
                await floor.ends(self.tenant, call["id"], self.now, cause=cause)

    async def change(self, name: str, which: int) -> None:
        """Have a person change the open callback of somebody, if there is one."""
        does = {
            "cancel": partial(callbacks.cancel, reason="customer", now=self.now),
            "take": partial(callbacks.take, now=self.now),
            "later": partial(callbacks.reschedule, promised_from=self.now + timedelta(minutes=30), now=self.now),
        }[name]
        actor = self.agent if name == "take" else self.tenant.admin
        async with db.transaction(self.tenant.system) as tx:
            callback_id = await tx.fetchval(
                "select id from crm.callback where contact_id = $1::uuid and ended_at is null", self.people[which][0]
            )
        if callback_id is not None:
            await self.attempt(db.run(actor, lambda tx: does(tx, callback_id)))

    async def check(self) -> None:
        """Hold what is stored to what was promised."""
        ours = [person[0] for person in self.people]
        async with db.transaction(self.tenant.system) as tx:
            rows = await tx.fetch("select * from crm.callback where contact_id = any($1::uuid[])", ours)
            made = await tx.fetch(
                "select a.*, k.ended_at as call_ended_at, k.outcome as call_outcome, k.contact_id from"
                " crm.callback_attempt a join crm.call k on k.tenant_id = a.tenant_id and k.id = a.call_id"
                " where k.contact_id = any($1::uuid[]) order by a.callback_id, a.attempt_no",
                ours,
            )
            dialled = await tx.fetch("select id, callback_id from crm.call where purpose = 'callback'"
                                     " and contact_id = any($1::uuid[])", ours)  # fmt: skip
        going = Counter(each["contact_id"] for each in made if each["call_ended_at"] is None)
        assert max(going.values(), default=0) <= 1, "one call at a time to a person"
        assert {(each["call_id"], each["callback_id"]) for each in made} == {tuple(each) for each in dialled}
        for row in rows:
            await self.check_one(row, [each for each in made if each["callback_id"] == row["id"]])

    async def check_one(self, row: asyncpg.Record, made: list[asyncpg.Record]) -> None:
        """Hold one callback to its rules."""
        for before, after in pairwise(made):
            assert before["ended_at"] is not None, "one attempt after the other"
            taken = await floor.told(self.tenant, row["id"])
            if not {"taken", "rescheduled"} & set(taken):
                assert after["attempted_at"] >= before["ended_at"] + Retries().pause(before["outcome"])
        assert all(row["ended_at"] is None or each["attempted_at"] <= row["ended_at"] for each in made)
        assert row["attempts"] == len(made) - sum(each["outcome"] in UNCOUNTED for each in made)
        told = [HAPPENS[each] for each in await floor.told(self.tenant, row["id"]) if each in HAPPENS]
        assert told[-1] == row["status"]
        assert all(after in FOLLOWS[before] for before, after in pairwise(told))


class TestInterleaving:
    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(things=st.lists(THING, min_size=6, max_size=20))
    async def test_calls_nobody_twice(self, tenant: Tenant, things: list[tuple[str, int]]) -> None:
        world = await begin(tenant)

        for each in things:
            await world.do(each)
            await world.check()


COUNT = iter(range(1_000_000))


async def begin(tenant: Tenant) -> World:
    """Return a world of new people in a firm whose former ones are left alone."""
    async with db.transaction(tenant.system) as tx:
        is_there = await tx.fetchval("select true from crm.queue")
        await tx.execute("delete from crm.callback")
        await tx.execute("delete from crm.call")
        await tx.execute("delete from crm.queue_place")
        await tx.execute("delete from crm.agent_session")
    if not is_there:
        await floor.open_queue(tenant, START - floor.HOUR)
    agent = await floor.on_duty(tenant, START)
    first = PEOPLE * next(COUNT)
    people = (await floor.people(tenant, PEOPLE, START, first=first))[-PEOPLE:]
    world = World(tenant, agent, people)
    for person in people:
        await floor.promise(tenant, person, START)
    return world
