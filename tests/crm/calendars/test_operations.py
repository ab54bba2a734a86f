"""Calendars of a firm, its teams and people: what is set, from when on, and who inherits what."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crm import db, holidays_ahead
from crm.actor import Forbidden
from crm.calendars import holidays, operations, queries
from crm.calendars.holidays import Holiday
from crm.calendars.rules import CLOSED, DEFAULT_HOURS, USUAL, Calendar, Day, weekly
from crm.users import teams
from tests.conftest import Tenant

ISTANBUL = ZoneInfo("Europe/Istanbul")
NINE_TO_FIVE = weekly(range(5), 9 * 60, 17 * 60)
NEXT_MONDAY = date(2026, 3, 9)


def open_hours(calendar: Calendar, day: date) -> float:
    start = datetime(day.year, day.month, day.day, tzinfo=calendar.zone)
    return calendar.open_seconds(start, start + timedelta(days=1)) / 3600


async def of_team(tenant: Tenant, now: datetime) -> Calendar:
    return await db.run(tenant.admin, lambda tx: queries.of_team(tx, tenant.team_id, now))


class TestOfTeam:
    async def test_is_a_sensible_one_where_nobody_said_anything(self, tenant, now):
        calendar = await of_team(tenant, now)

        assert calendar.zone == ISTANBUL
        assert [open_hours(calendar, date(2026, 3, day)) for day in range(2, 9)] == [9, 9, 9, 9, 9, 6, 0]

    async def test_is_the_same_object_while_nothing_changes(self, tenant, now):
        assert await of_team(tenant, now) is await of_team(tenant, now)

    async def test_goes_with_the_team_to_another_zone_from_the_next_day_on(self, tenant, now):
        async def work(tx):
            await teams.update(tx, tenant.team_id, timezone="Europe/Istanbul", region="TR", now=now)
            await teams.update(tx, tenant.team_id, timezone="Europe/London", now=now)
            return await queries.of_team(tx, tenant.team_id, now)

        calendar = await db.run(tenant.admin, work)

        assert calendar.next_opening(datetime(2026, 3, 3, tzinfo=UTC)) == datetime(2026, 3, 3, 6, tzinfo=UTC)
        assert calendar.next_opening(datetime(2026, 3, 4, tzinfo=UTC)) == datetime(2026, 3, 4, 9, tzinfo=UTC)

    async def test_is_narrower_before_wider(self, tenant, now):
        async def work(tx):
            await operations.set_hours(tx, weekly(range(7), 0, 600), valid_from=NEXT_MONDAY, now=now)
            await operations.set_hours(tx, NINE_TO_FIVE, team_id=tenant.team_id, valid_from=date(2026, 3, 16), now=now)
            await operations.set_hours(
                tx, weekly(range(5), 0, 60), user_id=tenant.admin.user_id, valid_from=date(2026, 3, 23), now=now
            )
            return (
                await queries.of_tenant(tx, now),
                await queries.of_team(tx, tenant.team_id, now),
                await queries.of_user(tx, tenant.admin.user_id, now),
            )

        firm, team, person = await db.run(tenant.admin, work)

        mondays = [date(2026, 3, 2) + timedelta(days=7 * n) for n in range(4)]
        assert [open_hours(firm, day) for day in mondays] == [9, 10, 10, 10]
        assert [open_hours(team, day) for day in mondays] == [9, 10, 8, 8]
        assert [open_hours(person, day) for day in mondays] == [9, 10, 8, 1]


class TestOfUsers:
    async def test_each_has_their_own_or_their_teams(self, tenant, now):
        admin, agent = tenant.admin.user_id, tenant.sales_agent.user_id
        await db.run(
            tenant.admin,
            lambda tx: operations.set_hours(tx, NINE_TO_FIVE, user_id=agent, valid_from=NEXT_MONDAY, now=now),
        )

        async def read(tx):
            one_by_one = {user: await queries.of_user(tx, user, now) for user in (admin, agent)}
            return one_by_one, await queries.of_users(tx, [admin, agent], now), await queries.of_users(tx, [], now)

        one_by_one, together, nobody = await db.run(tenant.admin, read)

        assert together == one_by_one
        assert together[admin] != together[agent]
        assert nobody == {}


class TestSetHours:
    async def test_changes_nothing_of_what_was_known_before(self, tenant, now):
        later = now + timedelta(hours=5)
        await db.run(tenant.admin, lambda tx: operations.set_hours(tx, NINE_TO_FIVE, valid_from=NEXT_MONDAY, now=later))

        before, after = await of_team(tenant, now), await of_team(tenant, later)

        assert (open_hours(before, NEXT_MONDAY), open_hours(after, NEXT_MONDAY)) == (9, 8)

    async def test_the_last_word_about_a_date_holds(self, tenant, now):
        for minutes in (600, 660, 720):
            hours = weekly(range(7), 540, minutes)
            await db.run(
                tenant.admin,
                lambda tx, hours=hours: operations.set_hours(tx, hours, valid_from=NEXT_MONDAY, now=now),
            )

        assert open_hours(await of_team(tenant, now), NEXT_MONDAY) == 3

    async def test_in_another_zone_counts_from_its_own_midnight(self, tenant, now):
        await db.run(
            tenant.admin,
            lambda tx: operations.set_hours(
                tx, NINE_TO_FIVE, timezone="Europe/Berlin", valid_from=NEXT_MONDAY, now=now
            ),
        )

        calendar = await of_team(tenant, now)

        assert calendar.next_opening(datetime(2026, 3, 9, tzinfo=UTC)) == datetime(2026, 3, 9, 8, tzinfo=UTC)

    @pytest.mark.parametrize("day", [date(2026, 3, 2), date(2026, 3, 3)])
    async def test_refuses_a_date_that_has_begun(self, tenant, now, day):
        with pytest.raises(operations.PastDate):
            await db.run(tenant.admin, lambda tx: operations.set_hours(tx, NINE_TO_FIVE, valid_from=day, now=now))

    async def test_refuses_hours_that_overlap_and_none(self, tenant, now):
        for hours in ((), weekly([0], 540, 1080) + weekly([0], 1000, 1100)):
            with pytest.raises(operations.BadHours):
                await db.run(
                    tenant.admin,
                    lambda tx, hours=hours: operations.set_hours(tx, hours, valid_from=NEXT_MONDAY, now=now),
                )

    async def test_refuses_another_firms_team(self, tenant, other_tenant, now):
        with pytest.raises(operations.UnknownOwner):
            await db.run(
                tenant.admin,
                lambda tx: operations.set_hours(
                    tx, NINE_TO_FIVE, team_id=other_tenant.team_id, valid_from=NEXT_MONDAY, now=now
                ),
            )

    async def test_is_for_those_who_may(self, tenant, now):
        with pytest.raises(Forbidden):
            await db.run(
                tenant.sales_agent, lambda tx: operations.set_hours(tx, NINE_TO_FIVE, valid_from=NEXT_MONDAY, now=now)
            )


class TestSetDay:
    async def test_a_team_may_work_where_the_firm_is_closed(self, tenant, other_tenant, now):
        async def work(tx):
            await operations.set_day(tx, NEXT_MONDAY, CLOSED, name="Deprem tatbikatı", now=now)
            firm = await queries.of_team(tx, tenant.team_id, now)
            await operations.set_day(tx, NEXT_MONDAY, USUAL, team_id=tenant.team_id, now=now)
            return firm, await queries.of_team(tx, tenant.team_id, now), await queries.of_tenant(tx, now)

        before, team, firm = await db.run(tenant.admin, work)

        assert [open_hours(calendar, NEXT_MONDAY) for calendar in (before, team, firm)] == [0, 9, 0]

    async def test_refuses_today(self, tenant, now):
        with pytest.raises(operations.PastDate):
            await db.run(tenant.admin, lambda tx: operations.set_day(tx, now.date(), CLOSED, now=now))


class TestSeedHolidays:
    async def test_brings_whole_and_half_days_once(self, tenant, now):
        async def work(tx):
            first = await operations.seed_holidays(tx, "TR", [2026, 2027], now=now)
            again = await operations.seed_holidays(tx, "TR", [2026, 2027], now=now)
            return first, again, await queries.of_team(tx, tenant.team_id, now)

        first, again, calendar = await db.run(tenant.admin, work)

        assert (first.days > 20, again.days) == (True, 0)
        assert open_hours(calendar, date(2026, 3, 19)) == 4, "the eve of Ramazan Bayramı, from 13:00"
        assert open_hours(calendar, date(2026, 3, 20)) == 0
        assert open_hours(calendar, date(2026, 4, 23)) == 0
        assert date(2026, 1, 1) not in calendar.days, "past days stay as they were"

    async def test_does_not_overrule_what_the_firm_said(self, tenant, now):
        async def work(tx):
            await operations.set_day(tx, date(2026, 4, 23), Day(hours=weekly([0], 600, 660)), now=now)
            await operations.seed_holidays(tx, "TR", [2026], now=now)
            return await queries.of_team(tx, tenant.team_id, now)

        assert open_hours(await db.run(tenant.admin, work), date(2026, 4, 23)) == 1

    async def test_says_which_days_are_ahead_of_the_published_years(self, tenant, now):
        seeded = await db.run(tenant.admin, lambda tx: operations.seed_holidays(tx, "TR", [2032, 2033], now=now))

        bayram = [date(2033, 1, 1 + n) for n in range(4)] + [date(2033, 3, 10 + n) for n in range(5)]
        # New Year's Day is the eve of the feast, and closed for certain.
        assert [day for day in seeded.estimated if day.month < 12] == bayram[1:]
        calendar = await of_team(tenant, now)
        assert open_hours(calendar, date(2033, 1, 3)) == 0

    async def test_a_day_that_was_estimated_moves_when_its_date_is_published(self, tenant, now, monkeypatch):
        feast, moved, sure = date(2026, 5, 12), date(2026, 5, 13), date(2026, 5, 19)
        own = date(2026, 5, 14)

        def published(*days, is_estimated=False):
            found = [Holiday(day, 0, {}, is_estimated) for day in days] + [Holiday(sure, 0, {})]
            monkeypatch.setattr(holidays, "of", lambda country, years: found)

        async def seed():
            return await db.run(tenant.admin, lambda tx: operations.seed_holidays(tx, "TR", [2026], now=now))

        published(feast, own, is_estimated=True)
        first = await seed()
        await db.run(tenant.admin, lambda tx: operations.set_day(tx, own, CLOSED, now=now))
        published(moved)
        second, third = await seed(), await seed()

        calendar = await of_team(tenant, now)
        assert (first.days, first.estimated) == (3, (feast, own))
        assert (second.days, second.withdrawn, second.estimated) == (1, 2, ())
        assert third == operations.Seeded()
        assert [open_hours(calendar, day) for day in (feast, moved, sure, own)] == [9, 0, 0, 0]

    async def test_what_another_country_has_off_stays_off(self, tenant, now, monkeypatch):
        day = date(2026, 5, 12)
        monkeypatch.setattr(holidays, "of", lambda country, years: [Holiday(day, 0, {})])

        async def work(tx):
            for country in ("TR", "DE"):
                await operations.seed_holidays(tx, country, [2026], now=now)
            monkeypatch.setattr(holidays, "of", lambda country, years: [])
            first = await operations.seed_holidays(tx, "TR", [2026], now=now)
            return first, await queries.of_team(tx, tenant.team_id, now)

        seeded, calendar = await db.run(tenant.admin, work)

        assert (seeded.withdrawn, open_hours(calendar, day)) == (0, 0)

    async def test_refuses_a_country_nobody_knows(self, tenant, now):
        with pytest.raises(operations.UnknownCountry):
            await db.run(tenant.admin, lambda tx: operations.seed_holidays(tx, "XX", [2026], now=now))


class TestBegin:
    async def test_gives_a_new_firm_hours_and_holidays_of_four_years(self, tenant, now):
        async def work(tx):
            await operations.begin(tx, "TR", now=now)
            return await queries.of_tenant(tx, now)

        calendar = await db.run(tenant.system, work)

        assert {day.year for day in calendar.days} == {2025, 2026, 2027, 2028}
        assert calendar.weeks[-1].hours == tuple(sorted(DEFAULT_HOURS))


class TestLookAhead:
    async def test_takes_over_the_year_after_next_of_firms_that_have_holidays(self, tenant, other_tenant, now):
        await db.run(tenant.system, lambda tx: operations.begin(tx, "TR", now=now))
        in_two_years = now.replace(year=2028)

        await holidays_ahead.look_ahead(in_two_years)
        await holidays_ahead.look_ahead(in_two_years)

        years = []
        for firm in (tenant, other_tenant):
            calendar = await db.run(firm.system, lambda tx: queries.of_tenant(tx, in_two_years))
            years.append({day.year for day in calendar.days})
        assert years == [{2025, 2026, 2027, 2028, 2029, 2030}, set()]
