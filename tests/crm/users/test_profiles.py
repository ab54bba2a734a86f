"""Profiles and absences: each field from an instant on, and the past as it was."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import db, ids
from crm.actor import Forbidden
from crm.calendars import queries as calendars
from crm.calendars.operations import PastDate
from crm.calendars.rules import Hours
from crm.users import absences, hours, memberships, operations, profiles, teams
from crm.users.profiles import BadProfile, OtherTeam, Profile
from crm.users.queries import UnknownTeam, UnknownUser
from tests.conftest import Tenant

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SKILLS = st.dictionaries(st.sampled_from(["hair", "dental", "eyes"]), st.integers(1, 5))


async def held(tenant: Tenant, at: datetime, user_id: UUID | None = None) -> Profile:
    who = user_id or tenant.sales_agent.user_id
    return (await db.run(tenant.system, lambda tx: profiles.profiles(tx, [who], at)))[who]


async def change(tenant: Tenant, now: datetime, *, valid_from: datetime | None = None, **wanted: Any) -> None:
    who = tenant.sales_agent.user_id
    await db.run(tenant.admin, lambda tx: profiles.change(tx, who, wanted, valid_from=valid_from, now=now))


async def told(tenant: Tenant, kind: str) -> list[dict[str, Any]]:
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch(
            "select payload_json from crm.event_log where event_type = $1::text order by tx_id, id", kind
        )
    return [row[0] for row in rows]


class TestProfiles:
    async def test_are_empty_for_who_has_set_nothing(self, tenant: Tenant, now: datetime) -> None:
        assert await held(tenant, now) == Profile()

    async def test_answer_for_everybody_at_once(self, tenant: Tenant, now: datetime) -> None:
        await change(tenant, now, skills={"hair": 4})
        both = [tenant.sales_agent.user_id, tenant.admin.user_id]

        found = await db.run(tenant.system, lambda tx: profiles.profiles(tx, both, now))

        assert {who: dict(each.skills) for who, each in found.items()} == {both[0]: {"hair": 4}, both[1]: {}}

    async def test_hold_each_field_from_its_own_instant(self, tenant: Tenant, now: datetime) -> None:
        await change(tenant, now, daily_cap=5, valid_from=now + 2 * DAY)
        await change(tenant, now, skills={"hair": 3}, languages=["tr", "de"], regions=["ege"])
        await change(tenant, now + DAY, skills={"hair": 5})

        days = [await held(tenant, now + n * DAY) for n in range(4)]

        assert [(dict(day.skills), day.daily_cap) for day in days] == [
            ({"hair": 3}, None),
            ({"hair": 5}, None),
            ({"hair": 5}, 5),
            ({"hair": 5}, 5),
        ]
        assert (days[0].languages, days[0].regions) == ({"tr", "de"}, {"ege"})
        assert await held(tenant, now - HOUR) == Profile()


class TestChange:
    async def test_tells_the_new_values(self, tenant: Tenant, now: datetime) -> None:
        await change(tenant, now, skills={"hair": 3}, daily_cap=None)

        [event] = await told(tenant, "user.profile_changed")
        assert event["skills"] == {"hair": 3}
        assert "daily_cap" not in event

    async def test_says_nothing_when_nothing_changes(self, tenant: Tenant, now: datetime) -> None:
        for _ in range(2):
            await change(tenant, now, languages=["tr", "en", "tr"])

        assert [event["languages"] for event in await told(tenant, "user.profile_changed")] == [["en", "tr"]]

    async def test_keeps_a_plan_that_says_what_would_hold_anyway(self, tenant: Tenant, now: datetime) -> None:
        await change(tenant, now, daily_cap=5)
        for _ in range(2):
            await change(tenant, now, daily_cap=5, valid_from=now + 2 * DAY)
        await change(tenant, now, daily_cap=3, valid_from=now + DAY)

        assert [(await held(tenant, now + n * DAY)).daily_cap for n in range(3)] == [5, 3, 5]
        assert len(await told(tenant, "user.profile_changed")) == 3

    async def test_never_rewrites_the_past(self, tenant: Tenant, now: datetime) -> None:
        with pytest.raises(BadProfile) as refusal:
            await change(tenant, now, daily_cap=1, valid_from=now - timedelta(microseconds=1))

        assert set(refusal.value.fields) == {"valid_from"}

    @pytest.mark.parametrize(
        ("wanted", "field"),
        [
            ({"skills": {"hair": 6}}, "skills.hair"),
            ({"skills": {"hair": True}}, "skills.hair"),
            ({"skills": {"Saç ekimi": 3}}, "skills"),
            ({"skills": ["hair"]}, "skills"),
            ({"languages": "tr"}, "languages"),
            ({"languages": ["turkish"]}, "languages"),
            ({"regions": [1]}, "regions"),
            ({"daily_cap": -1}, "daily_cap"),
            ({"daily_cap": True}, "daily_cap"),
            ({"name": "Ada"}, "name"),
        ],
    )
    async def test_names_the_field_at_fault(
        self, tenant: Tenant, now: datetime, wanted: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(BadProfile) as refusal:
            await change(tenant, now, **wanted)

        assert set(refusal.value.fields) == {field}

    async def test_is_for_managers_of_the_team(self, tenant: Tenant, now: datetime) -> None:
        who = tenant.sales_agent.user_id
        stranger = replace(tenant.sales_manager, team_id=ids.new())

        await db.run(tenant.sales_manager, lambda tx: profiles.change(tx, who, {"daily_cap": 9}, now=now))
        with pytest.raises(OtherTeam):
            await db.run(stranger, lambda tx: profiles.change(tx, who, {"daily_cap": 8}, now=now))
        with pytest.raises(Forbidden):
            await db.run(tenant.sales_agent, lambda tx: profiles.change(tx, who, {"daily_cap": 7}, now=now))
        with pytest.raises(UnknownUser):
            await db.run(tenant.admin, lambda tx: profiles.change(tx, ids.new(), {"daily_cap": 6}, now=now))

        assert (await held(tenant, now)).daily_cap == 9

    @given(SKILLS)
    def test_stores_skills_in_one_order(self, skills: dict[str, int]) -> None:
        shuffled = dict(reversed(list(skills.items())))

        assert list(profiles.checked("skills", shuffled).items()) == sorted(skills.items())


class TestAbsences:
    async def plan(self, tenant: Tenant, now: datetime, begins: timedelta, ends: timedelta, actor: str = "") -> UUID:
        who = tenant.sales_agent.user_id
        by = tenant.actors[actor or "sales_agent"]
        return await db.run(
            by,
            lambda tx: absences.plan(tx, who, kind="vacation", starts_at=now + begins, ends_at=now + ends, now=now),
        )

    async def cancel(self, tenant: Tenant, absence_id: UUID, now: datetime) -> None:
        who = tenant.sales_agent.user_id
        await db.run(tenant.sales_agent, lambda tx: absences.cancel(tx, who, absence_id, now=now))

    async def test_hold_from_their_beginning_to_before_their_end(self, tenant: Tenant, now: datetime) -> None:
        await self.plan(tenant, now, HOUR, 2 * HOUR)

        found = [(await held(tenant, now + n * HOUR / 2)).absent_until for n in range(5)]

        assert found == [None, None, now + 2 * HOUR, now + 2 * HOUR, None]

    async def test_that_follow_at_once_count_as_one(self, tenant: Tenant, now: datetime) -> None:
        await self.plan(tenant, now, HOUR, 2 * HOUR)
        await self.plan(tenant, now, 2 * HOUR, 3 * HOUR)
        await self.plan(tenant, now, 4 * HOUR, 5 * HOUR)

        assert (await held(tenant, now + HOUR)).absent_until == now + 3 * HOUR

    async def test_cancelled_have_held_until_then(self, tenant: Tenant, now: datetime) -> None:
        absence_id = await self.plan(tenant, now, timedelta(0), 4 * HOUR)

        await self.cancel(tenant, absence_id, now + 2 * HOUR)

        found = [(await held(tenant, now + n * HOUR)).absent_until for n in range(4)]
        assert found == [now + 4 * HOUR, now + 4 * HOUR, None, None]
        with pytest.raises(absences.AbsenceOver):
            await self.cancel(tenant, absence_id, now + 3 * HOUR)

    async def test_that_are_over_stay(self, tenant: Tenant, now: datetime) -> None:
        absence_id = await self.plan(tenant, now, timedelta(0), HOUR)

        with pytest.raises(absences.AbsenceOver):
            await self.cancel(tenant, absence_id, now + HOUR)

    async def test_do_not_overlap(self, tenant: Tenant, now: datetime) -> None:
        first = await self.plan(tenant, now, HOUR, 3 * HOUR)

        with pytest.raises(absences.Overlaps):
            await self.plan(tenant, now, 2 * HOUR, 4 * HOUR)
        await self.cancel(tenant, first, now)
        await self.plan(tenant, now, 2 * HOUR, 4 * HOUR)

    async def test_are_planned_by_oneself_or_ones_manager(self, tenant: Tenant, now: datetime) -> None:
        await self.plan(tenant, now, HOUR, 2 * HOUR, "sales_agent")
        await self.plan(tenant, now, 2 * HOUR, 3 * HOUR, "sales_manager")

        with pytest.raises(Forbidden):
            await self.plan(tenant, now, 3 * HOUR, 4 * HOUR, "compliance_auditor")
        other = tenant.admin.user_id
        with pytest.raises(UnknownUser):
            await db.run(
                tenant.sales_agent, lambda tx: absences.plan(tx, other, kind="leave", ends_at=now + HOUR, now=now)
            )
        assert [event["kind"] for event in await told(tenant, "agent.absence_planned")] == ["vacation"] * 2

    @pytest.mark.parametrize(
        ("kind", "begins", "ends", "field"),
        [
            ("sick", HOUR, 2 * HOUR, "kind"),
            ("leave", -HOUR, 2 * HOUR, "starts_at"),
            ("leave", HOUR, HOUR, "ends_at"),
            ("leave", HOUR, 400 * DAY, "ends_at"),
        ],
    )
    async def test_name_the_field_at_fault(
        self, tenant: Tenant, now: datetime, kind: str, begins: timedelta, ends: timedelta, field: str
    ) -> None:
        who = tenant.sales_agent.user_id

        with pytest.raises(absences.BadAbsence) as refusal:
            await db.run(
                tenant.admin,
                lambda tx: absences.plan(tx, who, kind=kind, starts_at=now + begins, ends_at=now + ends, now=now),
            )

        assert set(refusal.value.fields) == {field}


class TestHours:
    async def test_are_set_by_a_manager_from_tomorrow_on(self, tenant: Tenant, now: datetime) -> None:
        who, nine_to_one = tenant.sales_agent.user_id, [Hours(0, 540, 780)]
        tomorrow = now.date() + DAY

        await db.run(
            tenant.sales_manager, lambda tx: hours.set_hours(tx, who, nine_to_one, valid_from=tomorrow, now=now)
        )

        async with db.transaction(tenant.system) as tx:
            own = await calendars.of_user(tx, who, now)
            others = await calendars.of_user(tx, tenant.admin.user_id, now)
        monday = now + 6 * DAY + 2 * HOUR  # half past two in Istanbul
        assert (own.is_open(monday), others.is_open(monday)) == (False, True)

    async def test_do_not_change_today(self, tenant: Tenant, now: datetime) -> None:
        who = tenant.sales_agent.user_id

        with pytest.raises(PastDate):
            await db.run(
                tenant.admin,
                lambda tx: hours.set_hours(tx, who, [Hours(0, 540, 780)], valid_from=now.date(), now=now),
            )

    async def test_do_not_change_today_where_they_are_kept(self, tenant: Tenant, now: datetime) -> None:
        """At half past twelve UTC tomorrow has begun in Auckland, and is far in New York."""
        who, tomorrow, noon = tenant.sales_agent.user_id, now.date() + DAY, now + 3 * HOUR

        async def kept_in(zone: str) -> None:
            await db.run(
                tenant.admin,
                lambda tx: hours.set_hours(tx, who, [Hours(0, 540, 780)], timezone=zone, valid_from=tomorrow, now=noon),
            )

        with pytest.raises(PastDate):
            await kept_in("Pacific/Auckland")
        await kept_in("America/New_York")

    async def test_may_be_said_twice(self, tenant: Tenant, now: datetime) -> None:
        who, tomorrow = tenant.sales_agent.user_id, now.date() + DAY

        for _ in range(2):
            await db.run(
                tenant.sales_manager,
                lambda tx: hours.set_hours(tx, who, [Hours(0, 540, 780)], valid_from=tomorrow, now=now),
            )

        assert len(await told(tenant, "calendar.hours_set")) == 1


class TestTeams:
    async def test_say_what_was_true_of_them_when(self, tenant: Tenant, now: datetime) -> None:
        lead = tenant.sales_manager.user_id

        await db.run(
            tenant.admin,
            lambda tx: teams.update(tx, tenant.team_id, lead_user_id=lead, region="ege", now=now + DAY),
        )
        await db.run(tenant.admin, lambda tx: teams.update(tx, tenant.team_id, clear=["region"], now=now + 2 * DAY))

        rows = await db.run(tenant.admin, lambda tx: teams.history(tx, tenant.team_id))
        assert [(row["valid_from"], row["region"], row["lead_user_id"]) for row in rows] == [
            (now + 2 * DAY, None, lead),
            (now + DAY, "ege", lead),
            (now, None, None),
        ]

    async def test_are_led_by_somebody_who_works_here(
        self, tenant: Tenant, other_tenant: Tenant, now: datetime
    ) -> None:
        for lead in (ids.new(), other_tenant.admin.user_id):
            with pytest.raises(teams.UnknownLead):
                await db.run(
                    tenant.admin, lambda tx, lead=lead: teams.update(tx, tenant.team_id, lead_user_id=lead, now=now)
                )
        with pytest.raises(UnknownTeam):
            await db.run(tenant.admin, lambda tx: teams.update(tx, other_tenant.team_id, name="x", now=now))

    async def test_remember_who_was_in_them(self, tenant: Tenant, now: datetime) -> None:
        who = tenant.sales_agent.user_id
        new_team = await db.run(tenant.admin, lambda tx: teams.create(tx, name="İzmir", now=now))
        for day, wanted in ((1, {"team_id": new_team}), (2, {"leave_team": True}), (3, {"team_id": new_team})):
            change = operations.Change(**wanted)
            await db.run(
                tenant.admin,
                lambda tx, change=change, day=day: operations.update(tx, who, change, now=now + day * DAY),
            )

        rows = await db.run(tenant.admin, lambda tx: memberships.of_user(tx, who))
        then = await db.run(tenant.admin, lambda tx: memberships.of_team(tx, new_team, at=now + 1.5 * DAY))
        between = await db.run(tenant.admin, lambda tx: memberships.of_team(tx, new_team, at=now + 2 * DAY))

        assert [(row["team_id"], row["started_at"], row["ended_at"]) for row in rows] == [
            (tenant.team_id, now, now + DAY),
            (new_team, now + DAY, now + 2 * DAY),
            (new_team, now + 3 * DAY, None),
        ]
        assert ([row["user_id"] for row in then], list(between)) == ([who], [])
