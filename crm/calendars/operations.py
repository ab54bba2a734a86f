"""What changes calendars. Everything said holds from a coming date on: what was open yesterday was open for ever.

A day that has begun stays as it is, so that nothing measured on it changes; the earliest date is tomorrow, in the
calendar's own zone.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from crm import audit, errors, events, ids
from crm.calendars import holidays, queries
from crm.calendars.queries import OWN
from crm.calendars.rules import USUAL, Calendar, Day, Hours
from crm.db import Tx, to_json
from crm.operation import operation

SEEDED_YEARS = (-1, 3)
"""Public holidays a firm knows: from last year to the year after next."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said about a date: by the firm itself, or by a country's public holidays."""

    day: date
    what: Day
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    source: str = OWN
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class Seeded:
    """What taking over holidays changed: days that are new or said anew, days that are holidays no more.

    `estimated`: those of them whose date was worked out ahead of its publication; look at them again before relying
    on them.
    """

    days: int = 0
    withdrawn: int = 0
    estimated: tuple[date, ...] = ()


class BadHours(errors.Invalid):
    """These are no hours of a week."""

    code = "calendar.hours_invalid"


class PastDate(errors.Invalid):
    """What is past stays as it was: a calendar changes from tomorrow on at the earliest."""

    code = "calendar.past"


class UnknownOwner(errors.NotFound):
    """There is no such team or person."""

    code = "calendar.owner_unknown"


class UnknownCountry(errors.Invalid):
    """The public holidays of this country are not known."""

    code = "calendar.country_unknown"


@operation("calendar.manage")
async def set_hours(
    tx: Tx,
    hours: Sequence[Hours],
    *,
    team_id: UUID | None = None,
    user_id: UUID | None = None,
    timezone: str | None = None,
    valid_from: date,
    now: datetime,
) -> None:
    """Set the weekly hours of a team or a person (of the firm without either) from a date on, in a zone if named.

    :raises UnknownOwner: when there is no such team or person.
    :raises BadHours: when there are none, two of one day overlap, or the zone is unknown.
    :raises PastDate: when the date has begun.
    """
    check_hours(hours)
    if timezone is not None and timezone not in available_timezones():
        raise BadHours(f"{timezone!r} is not a time zone", fields={"timezone": "an IANA name, as Europe/Istanbul"})
    calendar = await _owned(tx, team_id, user_id, now)
    _require_coming(calendar.zone, valid_from, "valid_from", now)
    if timezone is not None:
        _require_coming(ZoneInfo(timezone), valid_from, "valid_from", now)
    stored = [[each.weekday, each.opens, each.closes] for each in sorted(hours)]
    known = await queries.weeks(tx, team_id=team_id, user_id=user_id)
    # Said again about another date it is kept: somebody may still say otherwise about a date before it.
    there = next((row for row in known if row["valid_from"] == valid_from), None)
    if there and (there["hours"], there["timezone"]) == (stored, timezone):
        tx.unchanged()
        return
    await _insert_week(tx, stored, team_id=team_id, user_id=user_id, timezone=timezone, begins=valid_from, now=now)
    await _note(tx, "calendar.hours_set", {"team_id": team_id, "user_id": user_id, "valid_from": valid_from}, now)


@operation("calendar.manage")
async def set_day(tx: Tx, day: date, what: Day, *, team_id: UUID | None = None, name: str = "", now: datetime) -> None:
    """Say how a date is unlike others for the firm or a team: closed, other hours, or usual although others close.

    :raises UnknownOwner: when there is no such team.
    :raises BadHours: when its hours overlap.
    :raises PastDate: when the date has begun.
    """
    if what.hours:
        check_hours(what.hours)
    calendar = await _owned(tx, team_id, None, now)
    _require_coming(calendar.zone, day, "day", now)
    if await _own_word(tx, day, team_id) == what:
        tx.unchanged()
        return
    await _insert_days(tx, [Said(day, what, name)], team_id=team_id, now=now)
    await _note(tx, "calendar.day_set", {"team_id": team_id, "day": day}, now)


@operation("calendar.manage")
async def seed_holidays(tx: Tx, country: str, years: Collection[int], *, now: datetime) -> Seeded:
    """Take over a country's public holidays of some years, half days and religious ones too.

    Days that have begun are left out, and so are those known already. A day that was taken over and is no holiday any
    more, since its date was only estimated, is withdrawn. What the firm says about a date itself wins.

    :raises UnknownCountry: when the country's holidays are not known.
    """
    calendar = await queries.of_tenant(tx, now)
    today = now.astimezone(calendar.zone).date()
    coming = [each for each in _found(country, years) if each.day > today]
    gone = await _no_more(tx, country, {each.day for each in coming}, years, today)
    return await _take_over(tx, country, coming, gone, now=now)


@operation("tenant.create")
async def begin(tx: Tx, country: str, *, now: datetime) -> None:
    """Give a new firm its first calendar: the default hours, and its country's public holidays where they are known."""
    years = range(*(now.year + n for n in SEEDED_YEARS))
    found = holidays.of(country, years) if holidays.knows(country) else []
    await _insert_week(tx, queries.DEFAULT_STORED, begins=date(years[0], 1, 1), now=now)
    await _take_over(tx, country, found, [], now=now)
    await _note(tx, "calendar.hours_set", {"valid_from": date(years[0], 1, 1)}, now)


def check_hours(hours: Sequence[Hours]) -> None:
    """Refuse hours that are none or overlap.

    :raises BadHours: when so.
    """
    if not hours:
        raise BadHours(fields={"hours": "at least one opening a week"})
    ordered = sorted(hours)
    for earlier, later in pairwise(ordered):
        if earlier.weekday == later.weekday and later.opens < earlier.closes:
            raise BadHours("hours of one day overlap", fields={"hours": "one day's hours overlap"})


def _found(country: str, years: Collection[int]) -> list[holidays.Holiday]:
    if not holidays.knows(country):
        raise UnknownCountry(fields={"country": "not known"})
    return holidays.of(country, years)


async def _take_over(
    tx: Tx, country: str, found: Iterable[holidays.Holiday], gone: Collection[date], *, now: datetime
) -> Seeded:
    """Say what is new of a country's holidays, and that some days are none any more."""
    source = f"holidays:{country}"
    known = {
        row["day"]: (row["closed_from"], row["is_estimated"])
        for row in await tx.fetch(
            "select day, closed_from, is_estimated from crm.calendar_day where tenant_id = $1::uuid"
            " and team_id is null and source = $2::text order by created_at, id",
            tx.actor.tenant_id, source,
        )
    }  # fmt: skip
    fresh = [each for each in found if known.get(each.day) != (each.closed_from, each.is_estimated)]
    if not (fresh or gone):
        tx.unchanged()
        return Seeded()
    said = [Said(each.day, Day(closed_from=each.closed_from), "", each.labels, source, each.is_estimated)
            for each in fresh]  # fmt: skip
    withdrawn = [Said(day, USUAL, source=source) for day in gone]
    await _insert_days(tx, [*said, *withdrawn], team_id=None, now=now)
    told = {"country": country, "days": len(fresh), "withdrawn": len(gone)}
    await _note(tx, "calendar.holidays_seeded", told, now)
    return Seeded(len(fresh), len(gone), tuple(each.day for each in fresh if each.is_estimated))


async def _no_more(tx: Tx, country: str, found: Collection[date], years: Collection[int], today: date) -> list[date]:
    """Return the coming days of some years that a country, and no other one, was said to have off and has not."""
    rows = await tx.fetch(
        "select day from (select distinct on (day, source) day, source, kind from crm.calendar_day"
        " where tenant_id = $1::uuid and team_id is null and source <> 'own' and day > $2::date"
        " order by day, source, created_at desc, id desc) as last"
        " where kind = 'closed' group by day having array_agg(source) = array[$3::text] order by day",
        tx.actor.tenant_id, today, f"holidays:{country}",
    )  # fmt: skip
    return [row["day"] for row in rows if row["day"].year in years and row["day"] not in found]


async def _owned(tx: Tx, team_id: UUID | None, user_id: UUID | None, now: datetime) -> Calendar:
    """Return the calendar of a team, a person or the firm.

    :raises UnknownOwner: when there is no such team or person.
    """
    for table, owner in (("team", team_id), ("user_account", user_id)):
        if owner is not None and not await tx.fetchval(
            f"select 1 from crm.{table} where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, owner
        ):
            raise UnknownOwner
    if team_id is not None and user_id is not None:
        raise BadHours("hours belong to a team or to a person", fields={"user_id": "not together with a team"})
    return await (queries.of_user(tx, user_id, now) if user_id else queries.of_team(tx, team_id, now))


def _require_coming(zone: ZoneInfo, day: date, field: str, now: datetime) -> None:
    if day <= now.astimezone(zone).date():
        raise PastDate(fields={field: "tomorrow at the earliest"})


async def _own_word(tx: Tx, day: date, team_id: UUID | None) -> Day | None:
    """Return what the firm said itself last about a date, for a team or for all."""
    rows = await queries.days(tx, team_id, day, day)
    own = [row for row in rows if row["source"] == OWN and row["team_id"] == team_id]
    return queries.day_of(own[-1]["kind"], own[-1]["closed_from"], own[-1]["hours"]) if own else None


async def _insert_week(
    tx: Tx,
    stored: list[list[int]],
    *,
    team_id: UUID | None = None,
    user_id: UUID | None = None,
    timezone: str | None = None,
    begins: date,
    now: datetime,
) -> None:
    await tx.execute(
        "insert into crm.calendar_week (tenant_id, id, team_id, user_id, valid_from, timezone, hours, set_by,"
        " created_at) values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::date, $6::text, $7::jsonb, $8::uuid,"
        " $9::timestamptz)",
        tx.actor.tenant_id, ids.new(), team_id, user_id, begins, timezone, to_json(stored), tx.actor.user_id, now,
    )  # fmt: skip


async def _insert_days(tx: Tx, said: Iterable[Said], *, team_id: UUID | None, now: datetime) -> None:
    await tx.executemany(
        "insert into crm.calendar_day (tenant_id, id, team_id, day, kind, closed_from, hours, name, labels, source,"
        " is_estimated, set_by, created_at) values ($1::uuid, $2::uuid, $3::uuid, $4::date, $5::text, $6::int,"
        " $7::jsonb, $8::text, $9::jsonb, $10::text, $11::boolean, $12::uuid, $13::timestamptz)",
        [
            (
                tx.actor.tenant_id, ids.new(), team_id, each.day, *_columns(each.what), each.name,
                to_json(each.labels), each.source, each.is_estimated, tx.actor.user_id, now,
            )
            for each in said
        ],
    )  # fmt: skip


def _columns(what: Day) -> tuple[str, int | None, str | None]:
    """Return a day's kind, the minute from which it is closed, and its hours as JSON."""
    if what.hours is not None:
        return "hours", None, to_json([[each.weekday, each.opens, each.closes] for each in what.hours])
    return ("usual" if what.closed_from is None else "closed"), what.closed_from, None


async def _note(tx: Tx, what: str, detail: dict[str, Any], now: datetime) -> None:
    target = detail.get("team_id") or detail.get("user_id") or tx.actor.tenant_id
    await events.record(tx, "calendar", target, what, detail, at=now)
    await audit.of_person(tx, what, "calendar", target, detail, at=now)
