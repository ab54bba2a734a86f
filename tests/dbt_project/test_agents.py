"""Agents' states and seconds, from what real operations wrote, with every number worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from crm import db, ids
from crm.actor import Actor
from crm.agents import operations, queries, watching
from crm.agents import settings as agent_settings
from crm.agents.rules import By, State
from crm.users import operations as users
from crm.users import teams
from kpis import project
from orchestration import warehouse
from tests.conftest import Tenant
from tests.crm.agents import floor
from tests.crm.agents.test_tiling import telephone_of
from tests.dbt_project.measuring import holds, measure, put
from tests.pipeline import Build, rows

AGENTS = (
    "--select",
    "+fct_agent_state_15m",
    "+fct_schedule_segment",
    "+dim_agent",
    "+dim_agent_version",
    "+dim_team",
    "dim_date",
    "--indirect-selection",
    "buildable",
)
AGENT = ("agent_time__agent",)
DAY = date(2026, 3, 3)
NO_SOURCE = ("utilisation", "shrinkage", "shrinkage_planned", "schedule_adherence", "schedule_conformance")


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
    10:00. fritz: in training 06:00–06:15, gone for five minutes, and home. bernd: there all the 29th of March in
    Berlin, which has 23 hours, and the 25th of October, which has 25. cem: a call 23:50–00:20 in Istanbul. dana: her
    screen falls silent at 08:10. eren: signs on and off at once.
    """
    team = await berlin(tenant)
    anna, bernd, cem, dana, eren, fritz = await floor.hire(tenant, 6, at(0))
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
    await signed_on(tenant, fritz, at(6))
    await db.run(fritz, lambda tx: operations.pause(tx, "training", now=at(6)))
    await db.run(fritz, lambda tx: operations.pause(tx, "personal", now=at(6, 15)))
    await sign_off(fritz, at(6, 20))
    return {"anna": anna, "bernd": bernd, "cem": cem, "dana": dana, "eren": eren, "berlin": team}


class TestAgentTime:
    async def test_holds_what_happened(self, build: Build, tenant: Tenant) -> None:
        who = await play(tenant)

        await build(*AGENTS)

        seconds = {
            (
                row["agent_state_time__agent"],
                row["metric_time__day"].isoformat(),
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
        by_version = await rows(
            tenant.admin,
            "select versions.team_id, versions.valid_to, sum(times.busy_s) as busy"
            "  from published.fct_agent_time_15m as times join published.dim_agent_version as versions"
            "    on versions.agent_id = times.agent_id and times.slot_at >= versions.valid_from"
            "   and times.slot_at < coalesce(versions.valid_to, 'infinity')"
            f" where times.agent_id = '{anna}' group by 1, 2 order by 2",
        )
        assert [tuple(row) for row in by_version] == [
            (tenant.team_id, at(10), 1200), (who["berlin"], None, 0),
        ], "what was done before the move stays with the team of then"  # fmt: skip

        shares = {row["agent_time__agent"]: row["occupancy"] for row in await measure(tenant, "occupancy", by=AGENT)}
        assert (shares[anna], shares[dana]) == (1200 / 3600, 0)
        days_of_all = await measure(tenant, "occupancy", by=("metric_time__day",))
        whole = {row["metric_time__day"]: row["occupancy"] for row in days_of_all}
        assert whole[DAY] == (1200 + 600) / (1200 + 2400 + 600 + 3000 + 630), "the sum of seconds, no mean"

        planned = await measure(tenant, *NO_SOURCE)
        assert {value for row in planned for value in row.values()} <= {None}, "no plan, no value"
        assert await measure(tenant, "contacts_per_hour") == [{"contacts_per_hour": 0}], "states, and no calls"
        await self._require_golden_numbers(tenant, who["anna"])
        await self._require_equal_to_the_board(tenant, [who[name] for name in ("anna", "cem", "dana")])

    async def _require_golden_numbers(self, tenant: Tenant, anna: Actor) -> None:
        """Of the day: 1 800 s busy, 6 030 s free; pauses of 900 s in training, 1 800 s for a break, 300 s unforeseen.
        Anna has had three calls. Planned were 8 100 s of work, of which 7 200 s as planned, and a break; all is paid.
        """
        with warehouse.connect() as connection:
            connection.execute(
                "update published.fct_agent_time_15m set handled = 3 where agent_id = %s and slot_at = %s",
                (anna.user_id, at(9)),
            )
        plan = [("work", at(9), 8100, 7200), ("break", at(11, 15), 900, 600)]
        put(tenant, "fct_schedule_segment", *(_planned(anna, *each) for each in plan))

        await holds(
            tenant, since=DAY, until=DAY + timedelta(days=1),
            agent_state_s={"available": 6030, "on_call": 1500, "wrap_up": 300, "paused": 3000, "not_responding": 30},
            occupancy=1800 / 7830, contacts_per_hour=3 / (7830 / 3600), utilisation=1800 / 9000,
            shrinkage=1 - 7830 / 9000, shrinkage_planned=2700 / 9000, shrinkage_unplanned=300 / 9000,
            shrinkage_internal=900 / 9000, shrinkage_external=2100 / 9000, schedule_adherence=7800 / 9000,
            schedule_conformance=7830 / 8100,
        )  # fmt: skip

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
            if row["metric_time__day"] == DAY
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


def _planned(who: Actor, planned: str, starts_at: datetime, sched_s: int, adherent_s: int) -> dict[str, Any]:
    work_s = sched_s if planned == "work" else 0
    return {
        "segment_id": ids.new(), "agent_id": who.user_id, "class": planned, "is_paid": True, "starts_at": starts_at,
        "ends_at": starts_at + timedelta(seconds=sched_s), "starts_on": starts_at.date(), "sched_s": sched_s,
        "paid_s": sched_s, "scheduled_work_s": work_s, "actual_work_s": 0, "adherent_s": adherent_s,
    }  # fmt: skip


class TestWords:
    def test_states_of_the_mart_are_those_of_the_crm(self) -> None:
        macro = (project.FOLDER / "macros" / "agent_states.sql").read_text()

        listed = set(macro.split("return([")[1].split("])")[0].replace("'", "").replace(" ", "").split(","))

        assert listed == {state.value for state in State} - {"offline"} | {"unknown"}

    def test_reasons_of_pauses_are_those_of_the_crm(self) -> None:
        model = (project.FOLDER / "models" / "marts" / "telephony" / "dim_pause_reason.sql").read_text()

        for reason in (*agent_settings.PAUSES.default.reasons, *agent_settings.SYSTEM_REASONS):
            assert f"('{reason.code}', '{reason.kind}', {str(reason.is_planned).lower()})" in model
