"""Agents' states and seconds, from what real operations wrote, with every number worked out by hand."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from crm import db
from crm.actor import Actor
from crm.agents import operations, queries, watching
from crm.agents import settings as agent_settings
from crm.agents.rules import By, State
from crm.users import operations as users
from crm.users import teams
from kpis import project
from tests.conftest import Tenant
from tests.crm.agents import floor
from tests.crm.agents.test_tiling import change, telephone_of
from tests.dbt_project.measuring import measure
from tests.pipeline import Build, rows

AGENTS = (
    "--select",
    "+fct_agent_state_15m",
    "+fct_schedule_segment",
    "+dim_agent",
    "dim_team",
    "dim_date",
    "--indirect-selection",
    "buildable",
)
FACTS = (*AGENTS, "--exclude-resource-type", "test")
AGENT = ("agent_time__agent",)
DAY = date(2026, 3, 3)
NO_SOURCE = ("utilisation", "shrinkage", "shrinkage_planned", "schedule_adherence", "schedule_conformance")
STEPS = [state for state in State if state is not State.paused]
"""Where a call takes agents; a pause has a reason, which it does not give."""


def at(hour: int, minute: int = 0, second: int = 0, *, day: date = DAY) -> datetime:
    """Return an instant (UTC) of the day on which most happens."""
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC)


async def signed_on(tenant: Tenant, who: Actor, now: datetime) -> Actor:
    """Give somebody a telephone of their own and sign them on."""
    return await floor.signed_on(tenant, now, actor=who, endpoint=telephone_of(who))


async def sign_off(who: Actor, now: datetime) -> None:
    """Sign somebody off."""
    await db.run(who, lambda tx: operations.sign_off(tx, now=now))


async def call(tenant: Tenant, who: Actor, since: datetime, until: datetime, *, wrap_s: int = 0) -> None:
    """Let somebody have a call and write it up."""
    await floor.move(tenant, who, State.on_call, since)
    await floor.move(tenant, who, State.wrap_up, until)
    await floor.move(tenant, who, State.available, until + timedelta(seconds=wrap_s), by=By.person)


async def berlin(tenant: Tenant) -> UUID:
    """Make a team that works in Berlin, whose days have 23 and 25 hours."""
    return await db.run(
        tenant.admin,
        lambda tx: teams.create(tx, name="Berlin", timezone="Europe/Berlin", now=at(0, day=date(2026, 1, 5))),
    )


async def join(tenant: Tenant, who: Actor, team: UUID, now: datetime) -> None:
    """Move somebody to another team."""
    await db.run(tenant.admin, lambda tx: users.update(tx, who.user_id, users.Change(team_id=team), now=now))


async def play(tenant: Tenant) -> dict[str, Any]:
    """Let a few shifts happen; return who and which teams there are.

    anna: 09:00–10:30; a call 09:05–09:20, written up until 09:25; a break 09:40–10:10, in which she moves to Berlin at
    10:00. bernd: there all the 29th of March in Berlin, which has 23 hours, and the 25th of October, which has 25.
    cem: a call 23:50–00:20 in Istanbul. dana: her screen falls silent at 08:10. eren: signs on and off at once.
    """
    team = await berlin(tenant)
    anna, bernd, cem, dana, eren = await floor.hire(tenant, 5, at(0))
    await join(tenant, bernd, team, at(1))
    await signed_on(tenant, anna, at(9))
    await call(tenant, anna, at(9, 5), at(9, 20), wrap_s=300)
    await db.run(anna, lambda tx: operations.pause(tx, "break", now=at(9, 40)))
    await join(tenant, anna, team, at(10))
    await db.run(anna, lambda tx: operations.make_ready(tx, now=at(10, 10)))
    await sign_off(anna, at(10, 30))
    for first, last in ((date(2026, 3, 28), date(2026, 3, 30)), (date(2026, 10, 24), date(2026, 10, 26))):
        await signed_on(tenant, bernd, at(21, day=first))
        await sign_off(bernd, at(0, day=last))
    await signed_on(tenant, cem, at(20))
    await call(tenant, cem, at(20, 50), at(21, 20))
    await sign_off(cem, at(21, 30))
    await signed_on(tenant, dana, at(8))
    await db.run(dana, lambda tx: operations.beat(tx, now=at(8, 10)))
    await db.run(tenant.system, lambda tx: watching.sweep(tx, now=at(9)))
    await signed_on(tenant, eren, at(8))
    await sign_off(eren, at(8))
    return {"anna": anna, "bernd": bernd, "cem": cem, "dana": dana, "eren": eren, "berlin": team}


class TestAgentTime:
    async def test_holds_what_happened(self, build: Build, tenant: Tenant) -> None:
        who = await play(tenant)

        await build(*AGENTS)

        seconds = {
            (
                row["agent_state_time__agent"],
                row["metric_time__day"].date().isoformat(),
                row["agent_state_time__state"],
            ): row["agent_state_s"]
            for row in await measure(
                tenant, "agent_state_s", by=("metric_time__day", "agent_state_time__agent", "agent_state_time__state")
            )
        }
        day = DAY.isoformat()
        anna, cem, dana = (str(who[name].user_id) for name in ("anna", "cem", "dana"))
        assert {state: value for (agent, _, state), value in seconds.items() if agent == anna} == {
            "available": 2400, "on_call": 900, "wrap_up": 300, "paused": 1800,
        }  # fmt: skip
        assert (seconds[cem, day, "on_call"], seconds[cem, "2026-03-04", "on_call"]) == (600, 1200), "edge case 1"
        assert {state: value for (agent, _, state), value in seconds.items() if agent == dana} == {
            "available": 630, "not_responding": 30,
        }, "gone 60 seconds after the last sign"  # fmt: skip
        days = {on: value for (agent, on, _), value in seconds.items() if agent == str(who["bernd"].user_id)}
        assert (days["2026-03-29"], days["2026-10-25"]) == (23 * 3600, 25 * 3600), "edge case 2"
        assert not any(agent == str(who["eren"].user_id) for agent, _, _ in seconds)

        teams_of_anna = {
            row["team_id"]: (row["busy"], row["available"], row["paused"])
            for row in await rows(
                tenant.admin,
                "select team_id, sum(busy_s) as busy, sum(available_s) as available, sum(paused_s) as paused"
                f" from published.fct_agent_time_15m where agent_id = '{anna}' group by team_id",
            )
        }
        assert teams_of_anna == {tenant.team_id: (1200, 1200, 1200), who["berlin"]: (0, 1200, 600)}, "edge case 14"

        shares = {row["agent_time__agent"]: row["occupancy"] for row in await measure(tenant, "occupancy", by=AGENT)}
        assert (shares[anna], shares[dana]) == (1200 / 3600, 0)
        days_of_all = await measure(tenant, "occupancy", by=("metric_time__day",))
        whole = {row["metric_time__day"].date(): row["occupancy"] for row in days_of_all}
        assert whole[DAY] == (1200 + 600) / (1200 + 2400 + 600 + 3000 + 630), "the sum of seconds, no mean"

        planned = await measure(tenant, *NO_SOURCE)
        assert {value for row in planned for value in row.values()} <= {None}, "no plan, no value"
        assert await measure(tenant, "contacts_per_hour") == [{"contacts_per_hour": 0}], "states, and no calls"
        await self._require_equal_to_the_board(tenant, [who[name] for name in ("anna", "cem", "dana")])

    async def _require_equal_to_the_board(self, tenant: Tenant, agents: list[Actor]) -> None:
        midnight = datetime(2026, 3, 2, 21, tzinfo=UTC)
        async with db.transaction(tenant.admin) as tx:
            board = await queries.floor(tx, since=midnight, now=midnight + timedelta(days=1))
        shown = {
            str(row["id"]): (row["occupancy"], row["busy_s"], row["available_s"], row["paused_s"]) for row in board
        }
        asked = {
            row["agent_time__agent"]: row["occupancy"]
            for row in await measure(tenant, "occupancy", by=("metric_time__day", *AGENT))
            if row["metric_time__day"].date() == DAY
        }
        counted = {
            str(row["agent_id"]): (row["busy"], row["available"], row["paused"])
            for row in await rows(
                tenant.admin,
                "select agent_id, sum(busy_s) as busy, sum(available_s) as available, sum(paused_s) as paused"
                f" from published.fct_agent_time_15m where slot_on = '{DAY}' group by agent_id",
            )
        }
        for agent in (str(each.user_id) for each in agents):
            assert (asked[agent], *counted[agent]) == shown[agent]

    async def test_following_events_equals_building_anew(self, build: Build, tenant: Tenant) -> None:
        chance, team = random.Random(5), await berlin(tenant)
        agents = await floor.hire(tenant, 3, at(0))
        for agent in agents:
            await floor.telephone(tenant, at(0), actor=agent, endpoint=telephone_of(agent))
        for round_no in range(2):
            await _something_happens(tenant, agents, team, chance, round_no)
            if round_no == 1:
                # Its transaction starts before the build and ends after it: the build must not skip it for good.
                async with db.transaction(agents[0]) as tx:
                    await operations.sign_on(tx, now=at(23))
                    await build(*FACTS)
                break
            await build(*FACTS)
        await db.run(tenant.system, lambda tx: watching.sweep(tx, now=at(23, 59)))
        assert {(await floor.standing(tenant, agent))[0] for agent in agents} <= {"offline", "on_call"}
        for agent in agents:
            await floor.move(tenant, agent, State.available, at(23, 59))
        await db.run(tenant.system, lambda tx: watching.sweep(tx, now=at(23, 59, 59) + timedelta(minutes=2)))
        assert {(await floor.standing(tenant, agent))[0] for agent in agents} == {"offline"}
        await build(*AGENTS)
        followed = [await _content(tenant, mart) for mart in ("fct_agent_state_interval", "fct_agent_time_15m")]

        await build("--full-refresh", *FACTS)

        anew = [await _content(tenant, mart) for mart in ("fct_agent_state_interval", "fct_agent_time_15m")]
        assert followed == anew
        assert len(anew[0]) > 30
        for agent in agents:
            assert await _states(tenant, agent) == [
                (row["session_id"], row["state"], row["reason"], row["call_id"], row["started_at"], row["ended_at"])
                for row in await floor.intervals(tenant, agent)
            ]


async def _something_happens(
    tenant: Tenant, agents: list[Actor], team: UUID, chance: random.Random, round_no: int
) -> None:
    """Take agents through steps, some dated before others that were told sooner, and from team to team."""
    begin = at(9 + 3 * round_no)
    moments = sorted(begin + timedelta(seconds=chance.randrange(3 * 3600)) for _ in range(25))
    for agent in agents:
        for moment in moments:
            told = moment - timedelta(seconds=chance.choice([0, 0, 300]))
            name = chance.choice(["sign_on", "sign_on", "move", "move", "move", "pause", "make_ready", "sign_off"])
            what = (name, told)
            if name == "move":
                what = (name, told, chance.choice(STEPS), None, None, By.calls)
            await change(tenant, agent, what)
            if chance.random() < 0.1:
                to = users.Change(team_id=chance.choice([team, tenant.team_id]))
                await db.run(
                    tenant.admin,
                    lambda tx, agent=agent, to=to, told=told: users.update(tx, agent.user_id, to, now=told),
                )


async def _content(tenant: Tenant, mart: str) -> list[str]:
    return sorted(str(tuple(row)) for row in await rows(tenant.admin, f"select * from published.{mart}"))


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


class TestWords:
    def test_states_of_the_mart_are_those_of_the_crm(self) -> None:
        macro = (project.FOLDER / "macros" / "agent_states.sql").read_text()

        listed = set(macro.split("return([")[1].split("])")[0].replace("'", "").replace(" ", "").split(","))

        assert listed == {state.value for state in State} - {"offline"} | {"unknown"}

    def test_reasons_of_pauses_are_those_of_the_crm(self) -> None:
        model = (project.FOLDER / "models" / "marts" / "telephony" / "dim_pause_reason.sql").read_text()

        for reason in (*agent_settings.PAUSES.default.reasons, *agent_settings.SYSTEM_REASONS):
            assert f"('{reason.code}', '{reason.kind}', {str(reason.is_planned).lower()})" in model
