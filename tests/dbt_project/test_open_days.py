"""Business time of the marts is that of the CRM, also where clocks are put forward and back."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from crm import db
from crm.calendars import operations, queries
from crm.calendars.rules import Calendar, Day, Hours
from crm.leads import intake
from crm.users import teams
from orchestration import warehouse
from tests.conftest import Tenant
from tests.pipeline import Build

NEW_YEAR = datetime(2025, 1, 1, 12, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
"""Clocks are put by an hour at one in the morning UTC, by an hour at two of their own, by half an hour."""
CHANGES = [
    datetime(2025, 3, 30, 1, tzinfo=UTC), datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2025, 3, 9, 7, tzinfo=UTC), datetime(2025, 11, 2, 6, tzinfo=UTC),
    datetime(2025, 4, 5, 15, tzinfo=UTC), datetime(2025, 10, 4, 15, 30, tzinfo=UTC),
]  # fmt: skip
NIGHT = tuple(
    Hours(day, opens, closes)
    for day in range(7)
    for opens, closes in ((30, 75), (80, 95), (105, 135), (150, 200), (540, 1500))
)
"""Every border of an hour that is skipped or comes twice lies somewhere in it; and it goes on past midnight."""
NEAR = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-240, 240)
)
ANY = st.integers(0, 365 * 24 * 60).map(lambda minutes: datetime(2025, 1, 20, tzinfo=UTC) + timedelta(minutes=minutes))
OPEN_UNTIL = """
select day.open_before_s + (
  select coalesce(sum(extract(epoch from upper(span) - lower(span))), 0)
  from unnest(day.open * tstzmultirange(tstzrange(null, %(at)s))) as span)
  from int.int_open_days as day
 where day.team_id = %(team)s and day.utc_day = (%(at)s::timestamptz at time zone 'UTC')::date
"""


class TestOpenDays:
    async def test_are_those_of_the_crm(self, build: Build, tenant: Tenant) -> None:
        lead = intake.NewLead(source="api", name="Ayşe", platform="meta")
        await db.run(tenant.system, lambda tx: intake.create(tx, lead, now=NEW_YEAR + timedelta(days=2)))
        known = {team: await _calendar(tenant, team) for team in [await _team(tenant, zone) for zone in ZONES]}
        await build("--select", "+int_open_days", "--exclude-resource-type", "test")

        with warehouse.connect() as connection:

            @given(st.sampled_from(sorted(known)), NEAR | ANY, NEAR | ANY)
            @settings(max_examples=max(300, settings().max_examples))
            def require_equal(team: UUID, one: datetime, other: datetime) -> None:
                since, until = sorted((one, other))

                passed = _open_until(connection, team, until) - _open_until(connection, team, since)

                assert passed == known[team].open_seconds(since, until)

            require_equal()


async def _team(tenant: Tenant, zone: str) -> UUID:
    """Make a team of a zone that works at night, and not on the Saturday before clocks are put back."""
    team = await db.run(tenant.admin, lambda tx: teams.create(tx, name=zone, timezone=zone, now=NEW_YEAR))
    await db.run(tenant.admin, lambda tx: operations.set_hours(
        tx, NIGHT, team_id=team, valid_from=date(2025, 1, 5), now=NEW_YEAR
    ))  # fmt: skip
    await db.run(tenant.admin, lambda tx: operations.set_day(
        tx, date(2025, 10, 25), Day(hours=()), team_id=team, now=NEW_YEAR
    ))  # fmt: skip
    return team


async def _calendar(tenant: Tenant, team: UUID) -> Calendar:
    async with db.transaction(tenant.system) as tx:
        return await queries.of_team(tx, team, NEW_YEAR + timedelta(days=400))


def _open_until(connection: psycopg.Connection, team: UUID, at: datetime) -> float:
    row = connection.execute(OPEN_UNTIL, {"team": team, "at": at}).fetchone()
    assert row is not None, at
    return float(row[0])
