"""Histories to be drawn: what can happen to leads, calls, agents and dialling, late, twice, in any order, taken back.

A step names its entity by a number, which stands for one of those there are; what the product refuses changes nothing.
So any list of steps is a history, and one that is found to go wrong shrinks to the few steps that matter.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from hypothesis import strategies as st

from crm import clock, db, errors
from crm.actor import Actor
from crm.agents import watching
from crm.agents.rules import By, State
from crm.callbacks import operations as callbacks
from crm.callbacks.rules import Kind
from crm.calls import history
from crm.calls.facts import Fact
from crm.calls.story import Outcome
from crm.db import Tx
from crm.dialling import results
from crm.duplicates import operations as duplicates
from crm.leads import intake, operations, rules
from crm.leads.rules import Channel, Direction, Status
from crm.money import Money
from crm.sla import clocks
from crm.users import operations as users
from crm.users import teams
from tests.conftest import NOW, Tenant
from tests.crm.agents import floor as desks
from tests.crm.agents.test_tiling import change, telephone_of
from tests.crm.dialling import floor as dialling
from tests.dbt_project import golden, telephony
from tests.dbt_project.telephony import Line

T = TypeVar("T")


def day_of_agents() -> datetime:
    """Return the midnight with which agents' days begin: not long ago, since who stays signed on counts up to now."""
    return clock.utc_now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)


@dataclass
class World:
    """A firm in which steps happen: whoever and whatever there is, in the order in which it came."""

    tenant: Tenant
    begin: datetime = field(default_factory=day_of_agents)
    leads: list[UUID] = field(default_factory=list)
    people: list[UUID] = field(default_factory=list)
    lines: list[tuple[Line, list[Fact]]] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)
    agents: list[Actor] = field(default_factory=list)
    teams: list[UUID] = field(default_factory=list)
    dialled: list[UUID] = field(default_factory=list)
    promised: list[UUID] = field(default_factory=list)

    @classmethod
    async def opened(cls, tenant: Tenant) -> "World":
        """Open a firm with agents, two teams and a dialling campaign; one of everything has happened.

        Steps are about the first two agents: the third is for what a test holds open meanwhile.
        """
        world = cls(tenant)
        berlin = await db.run(tenant.admin, lambda tx: teams.create(tx, name="B", timezone="Europe/Berlin", now=NOW))
        world.teams = [tenant.team_id, berlin]
        world.agents = await desks.hire(tenant, 3, world.begin)
        for agent in world.agents:
            await desks.telephone(tenant, world.begin, actor=agent, endpoint=telephone_of(agent))
        _, world.dialled = await dialling.dialled(tenant, 4)
        for row in await dialling.rows(tenant, "select id, contact_id from crm.lead order by id"):
            world.leads.append(row["id"])
            world.people.append(row["contact_id"])
        for step in FIRST:
            await step.happen(world)
        return world

    async def do(self, actor: Actor, work: Callable[[Tx], Awaitable[T]]) -> T | None:
        """Do one thing; what is refused changes nothing."""
        try:
            return await db.run(actor, work)
        except errors.CrmError:
            return None

    async def close(self) -> None:
        """Let every agent go home: who stays counts on with every moment."""
        system, at = self.tenant.system, self.begin + timedelta(days=2)
        await db.run(system, lambda tx: watching.sweep(tx, now=at))
        for agent in self.agents:
            await desks.move(self.tenant, agent, State.available, at)  # who has a call is left alone
        await db.run(system, lambda tx: watching.sweep(tx, now=at + timedelta(minutes=5)))
        assert {(await desks.standing(self.tenant, agent))[0] for agent in self.agents} == {"offline"}


class Step(Protocol):
    """Something that happens."""

    async def happen(self, world: World) -> object:
        """Let it happen."""


def minute(after: int) -> datetime:
    """Return an instant some minutes after leads begin to come in."""
    return golden.RECEIVED + timedelta(minutes=after)


@dataclass(frozen=True)
class Enquiry:
    platform: str
    at: int

    async def happen(self, world: World) -> None:
        new = intake.NewLead(source="api", name="Ali", platform=self.platform)
        made = await db.run(world.tenant.system, lambda tx: intake.create(tx, new, now=minute(self.at)))
        world.leads.append(made.lead_id)
        world.people.append(made.contact_id)


@dataclass(frozen=True)
class Move:
    lead: int
    way: int
    at: int

    async def happen(self, world: World) -> None:
        lead = world.leads[self.lead % len(world.leads)]
        [row] = await dialling.rows(world.tenant, "select status from crm.lead where id = $1::uuid", lead)
        ways = sorted(rules.FOLLOWS[Status(row["status"])] - {Status.assigned, Status.new, Status.won})
        if ways:
            to = ways[self.way % len(ways)]
            await world.do(world.tenant.system, lambda tx: operations.change_status(
                tx, lead, to, reason="other", now=minute(self.at)
            ))  # fmt: skip


@dataclass(frozen=True)
class Sale:
    lead: int
    at: int
    is_undone: bool

    async def happen(self, world: World) -> None:
        lead, price = world.leads[self.lead % len(world.leads)], Money.of("1250.50", "EUR")
        system = world.tenant.system
        await world.do(system, lambda tx: operations.record_sale(tx, lead, price, now=minute(self.at)))
        if self.is_undone:
            later = minute(self.at) + timedelta(days=3)
            await world.do(system, lambda tx: operations.change_status(
                tx, lead, Status.lost, reason="cancelled", now=later
            ))  # fmt: skip


@dataclass(frozen=True)
class Meeting:
    """A call or its like with a lead, told so many minutes after it happened."""

    lead: int
    at: int
    late: int
    outcome: str
    is_human: bool

    async def happen(self, world: World) -> None:
        lead, told = world.leads[self.lead % len(world.leads)], minute(self.at)
        happened = told - timedelta(minutes=self.late)
        await world.do(world.tenant.system, lambda tx: operations.record_activity(
            tx, lead, Channel.call, Direction.outbound, self.outcome, is_human=self.is_human, occurred_at=happened,
            now=told,
        ))  # fmt: skip


@dataclass(frozen=True)
class Hand:
    lead: int
    to: int
    reason: str
    at: int

    async def happen(self, world: World) -> None:
        lead, tenant = world.leads[self.lead % len(world.leads)], world.tenant
        who = [None, tenant.sales_agent.user_id, tenant.sales_manager.user_id][self.to % 3]
        team = world.teams[self.to % 2]
        await world.do(tenant.system, lambda tx: operations.assign(
            tx, lead, who, team_id=team, reason=self.reason, now=minute(self.at)
        ))  # fmt: skip


@dataclass(frozen=True)
class Clocks:
    """Look at a lead's clocks: some begin, end, or turn out never to have been."""

    lead: int
    at: int

    async def happen(self, world: World) -> None:
        lead = world.leads[self.lead % len(world.leads)]
        await world.do(world.tenant.system, lambda tx: clocks.settle(tx, [lead], now=minute(self.at)))


@dataclass(frozen=True)
class Merge:
    """Two people turn out to be one."""

    winner: int
    loser: int

    async def happen(self, world: World) -> None:
        one, other = (world.people[n % len(world.people)] for n in (self.winner, self.loser))
        await world.do(world.tenant.admin, lambda tx: duplicates.merge(tx, one, other, now=minute(3000)))


@dataclass(frozen=True)
class Erasure:
    """A person is no more: their name and how to reach them go, their leads stay counted."""

    person: int

    async def happen(self, world: World) -> None:
        person = world.people[self.person % len(world.people)]

        async def work(tx: Tx) -> None:
            await tx.execute("delete from crm.contact_point where contact_id = $1::uuid", person)
            await tx.execute(
                "update crm.contact set erased_at = $2::timestamptz, phone_masked = null where id = $1::uuid",
                person, minute(3000),
            )  # fmt: skip

        await world.do(world.tenant.system, work)


@dataclass(frozen=True)
class Ring:
    """A call comes in, of which nothing is told yet."""

    kind: int
    at: int

    async def happen(self, world: World) -> None:
        line = await Line.begin(world.tenant, telephony.DAY + timedelta(minutes=self.at))
        answered = [*line.comes(), *line.connects(9, "agent-1")]
        story = [
            [*line.comes(), *line.gives_up(30)],
            [*answered, line.goes(60, "agent-1"), line.goes(60)],
            [
                *answered, *line.gives(20, "agent-1", is_attended=False), *line.waits(20, "care"),
                *line.connects(31, "agent-2", queue="care", bridge="b2"), line.goes(90), line.goes(90, "agent-2"),
            ],
        ][self.kind % 3]  # fmt: skip
        world.lines.append((line, story))


@dataclass(frozen=True)
class Hear:
    """Parts of a call are told, in any order, some of them once more; without any: all of them."""

    call: int
    parts: tuple[int, ...] = ()

    async def happen(self, world: World) -> None:
        line, story = world.lines[self.call % len(world.lines)]
        parts = self.parts or range(len(story))
        await line.hear(200, *(story[n % len(story)] for n in parts))


@dataclass(frozen=True)
class Import:
    """Another system tells of a call; told again it may have been otherwise, or without any wait in a queue."""

    name: int
    outcome: Outcome
    wait_s: int

    def told(self) -> history.PastCall:
        at = telephony.DAY + timedelta(days=1)
        if self.outcome is Outcome.cancelled:
            return telephony.past(f"c-{self.name}", at, self.outcome, queue=None)
        talk_s = 60.0 if self.outcome is Outcome.answered else None
        return telephony.past(f"c-{self.name}", at, self.outcome, float(self.wait_s), talk_s=talk_s)

    async def happen(self, world: World) -> None:
        await telephony.import_calls(world.tenant, [self.told()])


@dataclass(frozen=True)
class Shift:
    """An agent does something, told of a moment that may lie before what was told already."""

    agent: int
    what: str
    to: State
    at: int

    async def happen(self, world: World) -> None:
        moment = world.begin + timedelta(hours=9, minutes=self.at)
        rest = (self.to, None, None, By.calls) if self.what == "move" else ()
        await change(world.tenant, world.agents[self.agent % 2], (self.what, moment, *rest))


@dataclass(frozen=True)
class Handling:
    """An agent has a call that came in, and writes it up."""

    agent: int
    call: int
    at: int

    async def happen(self, world: World) -> None:
        agent, (line, _) = world.agents[self.agent % 2], world.lines[self.call % len(world.lines)]
        for n, to in enumerate((State.on_call, State.wrap_up, State.available)):
            moment = world.begin + timedelta(hours=9, minutes=self.at + 3 * n)
            call_id = None if to is State.available else line.call_id
            await change(world.tenant, agent, ("move", moment, to, call_id, None, By.calls))


@dataclass(frozen=True)
class Join:
    """An agent goes to another team."""

    agent: int
    team: int
    at: int

    async def happen(self, world: World) -> None:
        agent, moment = world.agents[self.agent % 2], world.begin + timedelta(hours=9, minutes=self.at)
        to = users.Change(team_id=world.teams[self.team % 2])
        await world.do(world.tenant.admin, lambda tx: users.update(tx, agent.user_id, to, now=moment))


@dataclass(frozen=True)
class Dialled:
    """What came of a dialled call is known, and, later, what the agent said of it."""

    call: int
    outcome: Outcome
    delay_s: int
    party: str | None

    async def happen(self, world: World) -> None:
        call, tenant = world.dialled[self.call % len(world.dialled)], world.tenant
        delay_s = self.delay_s if self.outcome is Outcome.answered else None
        await dialling.end(tenant, call, self.outcome, delay_s=delay_s)
        await dialling.settle(tenant)
        if self.party:
            await dialling.do(tenant.system, lambda tx: tx.execute(
                "update crm.call set disposition_party = $2::text where id = $1::uuid", call, self.party
            ))  # fmt: skip
            await world.do(tenant.system, lambda tx: results.confirm(tx, None, now=NOW + timedelta(hours=1)))


@dataclass(frozen=True)
class Promise:
    """A person is promised a callback, or does not want it any more."""

    person: int
    is_wanted: bool

    async def happen(self, world: World) -> None:
        n, tenant = self.person % 4, world.tenant
        wanted = callbacks.Request(
            kind=Kind.web, contact_id=world.people[n], lead_id=world.leads[n], queue=dialling.QUEUE
        )
        made = await world.do(tenant.admin, lambda tx: callbacks.request(tx, wanted, now=NOW))
        world.promised += [made] if made else []
        if not self.is_wanted and world.promised:
            gone = world.promised[self.person % len(world.promised)]
            await world.do(tenant.admin, lambda tx: callbacks.cancel(tx, gone, reason="customer", now=NOW))


@dataclass(frozen=True)
class Again:
    """The log is told something a second time, after whatever came since."""

    which: int

    async def happen(self, world: World) -> None:
        await dialling.do(world.tenant.system, lambda tx: tx.execute(AGAIN, tx.actor.tenant_id, self.which))


AGAIN = """
insert into crm.event_log (tenant_id, aggregate_type, aggregate_id, event_type, payload_json, occurred_at)
select tenant_id, aggregate_type, aggregate_id, event_type, payload_json, occurred_at from crm.event_log
 where tenant_id = $1::uuid
   and aggregate_type in ('call', 'callback', 'dial_attempt', 'historical_call', 'queue_visit', 'sla_clock')
 order by id desc offset $2::int limit 1
"""

FIRST: list[Any] = [
    Enquiry("meta", 0), Hand(4, 1, "manual", 5), Meeting(4, 60, 10, "answered", True), Clocks(4, 90), Move(4, 1, 100),
    Sale(4, 200, False), Ring(1, 0), Hear(0), Ring(2, 5), Import(0, Outcome.answered, 20),
    Shift(0, "sign_on", State.available, 0), Shift(0, "pause", State.available, 20),
    Shift(0, "make_ready", State.available, 30), Handling(0, 0, 40),
    Dialled(0, Outcome.answered, 1, "right"), Promise(0, True),
]  # fmt: skip
"""One of everything, so that no table is empty whatever is drawn."""

N, AT = st.integers(0, 11), st.integers(0, 3000)
HOURS = st.integers(0, 600)
LEADS = st.one_of(
    st.builds(Enquiry, st.sampled_from(["meta", "google"]), AT),
    st.builds(Move, N, N, AT),
    st.builds(Sale, N, AT, st.booleans()),
    st.builds(Meeting, N, AT, st.integers(0, 80_000), st.sampled_from(["answered", "no_answer"]), st.booleans()),
    st.builds(Hand, N, N, st.sampled_from(["manual", "router.round_robin"]), AT),
    st.builds(Clocks, N, AT),
    st.builds(Merge, N, N),
    st.builds(Erasure, N),
)
CALLS = st.one_of(
    st.builds(Ring, N, AT),
    st.builds(Hear, N, st.lists(st.integers(0, 15), min_size=1, max_size=8).map(tuple)),
    st.builds(Hear, N),
    st.builds(
        Import,
        st.integers(0, 3),
        st.sampled_from([Outcome.answered, Outcome.abandoned, Outcome.cancelled]),
        st.integers(0, 90),
    ),
    st.builds(Again, st.integers(0, 30)),
)
DESKS = st.one_of(
    st.builds(
        Shift,
        N,
        st.sampled_from(["sign_on", "move", "move", "pause", "make_ready", "sign_off", "sweep"]),
        st.sampled_from([state for state in State if state is not State.paused]),
        HOURS,
    ),
    st.builds(Handling, N, N, HOURS),
    st.builds(Join, N, N, HOURS),
)
DIALLING = st.one_of(
    st.builds(
        Dialled,
        N,
        st.sampled_from([Outcome.answered, Outcome.abandoned, Outcome.machine, Outcome.busy]),
        st.integers(0, 4),
        st.sampled_from([None, "right", "wrong", "machine"]),
    ),
    st.builds(Promise, N, st.booleans()),
)


def drawn(least: int) -> st.SearchStrategy[tuple[list[Step], ...]]:
    """Draw what happens before the first build, before and during the second, and before the last."""
    happens = st.lists(LEADS | CALLS | DESKS | DIALLING, min_size=least)
    return st.tuples(happens, happens, happens, happens)
