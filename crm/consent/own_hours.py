"""A tenant's own calling hours, each valid from a day; they take the place of what comes along (`hours.KNOWN`)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from crm import audit, errors, events, ids
from crm.consent import hours, places
from crm.consent.hours import Hours, Window
from crm.db import Tx, to_json
from crm.operation import operation

DAY = 24 * 60


class BadHours(errors.Invalid):
    """These are no calling hours."""

    code = "calling_hours.invalid"


@dataclass(frozen=True, slots=True)
class Listed:
    """Hours of a country as a list shows them; `own`: the tenant's, not what comes along."""

    country: str
    hours: Hours
    own: bool


def _check(windows: Sequence[Window]) -> None:
    """:raises BadHours: when a window is empty, not of this week, or overlaps another."""
    for place, window in enumerate(windows):
        if not window.days or not window.days <= set(hours.WEEK):
            raise BadHours(fields={f"windows.{place}.days": "days of the week, 1 (Monday) to 7"})
        if not 0 <= window.start < window.end <= DAY:
            raise BadHours(fields={f"windows.{place}.end": "later than the start, and midnight at the latest"})
        if any(
            other.days & window.days and other.start < window.end and window.start < other.end
            for other in windows[:place]
        ):
            raise BadHours(fields={f"windows.{place}": "overlaps another window"})


@operation("settings.manage")
async def change(
    tx: Tx, country: str, windows: Sequence[Window], *, holidays: bool, valid_from: date, now: datetime
) -> UUID:
    """Set a country's hours from a day on and return the id; what held before stays as it was. No windows: never.

    :raises BadHours: when the windows are none, or the day has gone by everywhere in the country.
    """
    _check(windows)
    if valid_from < _today(country, now):
        raise BadHours(fields={"valid_from": "what held in the past stays as it was"})
    row_id = ids.new()
    stored = [{"days": sorted(each.days), "start": each.start, "end": each.end} for each in windows]
    await tx.execute(
        "insert into crm.calling_hours (tenant_id, id, country, valid_from, windows, holidays, set_by, created_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::date, $5::jsonb, $6::boolean, $7::uuid, $8::timestamptz)",
        tx.actor.tenant_id, row_id, country, valid_from, to_json(stored), holidays, tx.actor.user_id, now,
    )  # fmt: skip
    told = {"country": country, "valid_from": valid_from, "calling_hours_id": row_id}
    await events.record(tx, "tenant", tx.actor.tenant_id, "calling_hours.changed", told, at=now)
    await audit.of_person(tx, "calling_hours.change", "tenant", tx.actor.tenant_id, told, at=now)
    return row_id


def _today(country: str, now: datetime) -> date:
    """Return the earliest date it is now in a country; by UTC where its zones are not known."""
    return min((now.astimezone(places.zone(name)).date() for name in places.zones_of(country)), default=now.date())


async def of(tx: Tx, countries: Iterable[str]) -> dict[str, tuple[Hours, ...]]:
    """Return the dated hours of countries: the tenant's own, the latest set first, before those that come along."""
    wanted = list(countries)
    rows = await tx.fetch(
        "select country, valid_from, windows, holidays from crm.calling_hours"
        " where tenant_id = $1::uuid and country in (select unnest($2::text[])) order by created_at desc, id desc",
        tx.actor.tenant_id, wanted,
    )  # fmt: skip
    own: dict[str, list[Hours]] = {}
    for row in rows:
        own.setdefault(row["country"], []).append(_read(row))
    return {country: (*own.get(country, ()), *hours.KNOWN.get(country, ())) for country in wanted}


async def listing(tx: Tx) -> list[Listed]:
    """Return every country's hours, its latest first."""
    rows = await tx.fetch(
        "select country, valid_from, windows, holidays from crm.calling_hours where tenant_id = $1::uuid"
        " order by created_at desc, id desc",
        tx.actor.tenant_id,
    )
    found = [Listed(row["country"], _read(row), own=True) for row in rows]
    found += [Listed(country, each, own=False) for country, known in hours.KNOWN.items() for each in known]
    found.sort(key=lambda each: each.hours.valid_from, reverse=True)
    return sorted(found, key=lambda each: each.country)


def _read(row: Mapping[str, Any]) -> Hours:
    windows = tuple(Window(frozenset(each["days"]), each["start"], each["end"]) for each in row["windows"])
    return Hours(row["valid_from"], windows, row["holidays"])
