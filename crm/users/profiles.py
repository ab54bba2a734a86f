"""What people can and may take: skills, languages, regions, daily caps, absences. Dated: the past stays as it was.

Each field of a profile is set from an instant on, by itself: a cap planned for Monday leaves today's skills alone.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids
from crm.db import Tx, to_json
from crm.operation import operation
from crm.users.queries import UnknownUser

NOTHING: Mapping[str, int] = MappingProxyType({})
FIELDS = ("skills", "languages", "regions", "daily_cap")
CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
LANGUAGE = re.compile(r"[a-z]{2}")
PROFICIENCY = range(1, 6)
MOST_CODES = 100
LARGEST_CAP = 10_000


class BadProfile(errors.Invalid):
    """A profile cannot hold this."""

    code = "profile.invalid"


class OtherTeam(errors.NotAllowed):
    """This person is of another team; their own manager or an administrator decides."""

    code = "profile.other_team"


@dataclass(frozen=True)
class Profile:
    """What held for one person at an instant.

    `skills`: code → proficiency, 1 (learning) to 5 (expert). `languages`: ISO 639-1 codes. `regions`: codes of the
    territories they serve; none: any. `daily_cap`: the most leads in a day of the team's zone; None: no cap.
    `absent_until`: when the absence they are in, with those that follow it at once, ends (UTC); None: they are there.
    """

    skills: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    languages: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    daily_cap: int | None = None
    absent_until: datetime | None = None


def _latest(name: str) -> str:
    return (
        "(select p.value from crm.user_profile p where p.tenant_id = $1::uuid and p.user_id = u.id"
        f" and p.field = '{name}' and p.valid_from <= $3::timestamptz"
        f" order by p.valid_from desc, p.id desc limit 1) as {name}"
    )


PROFILES = f"""
select u.id, {_latest("skills")}, {_latest("languages")}, {_latest("regions")}, {_latest("daily_cap")},
       (select upper(away) from (
          select unnest(range_agg(tstzrange(a.starts_at, a.ends_at))) as away from crm.user_absence a
           where a.tenant_id = $1::uuid and a.user_id = u.id and a.ends_at > $3::timestamptz
             and a.created_at <= $3::timestamptz
             and (a.cancelled_at is null or a.cancelled_at > $3::timestamptz)) s
         where away @> $3::timestamptz) as absent_until
  from unnest($2::uuid[]) as u(id)
"""


async def profiles(tx: Tx, user_ids: Collection[UUID], at: datetime) -> dict[UUID, Profile]:
    """Return what held for people at an instant (UTC), in one statement; who has set nothing has an empty profile.

    An absence counts as it was known then: one cancelled later still held.
    """
    rows = await tx.fetch(PROFILES, tx.actor.tenant_id, list(user_ids), at)
    return {
        row["id"]: Profile(
            row["skills"] or NOTHING,
            frozenset(row["languages"] or ()),
            frozenset(row["regions"] or ()),
            row["daily_cap"],
            row["absent_until"],
        )
        for row in rows
    }


@operation("profile.manage")
async def change(
    tx: Tx, user_id: UUID, wanted: Mapping[str, Any], *, now: datetime, valid_from: datetime | None = None
) -> None:
    """Set fields of a person's profile from an instant on (default: now, never earlier); others stay as they are.

    `wanted` names any of `FIELDS` with its new whole value, in the shapes of `Profile`. What is already planned for
    later comes as planned.

    :raises UnknownUser: when there is no such person.
    :raises OtherTeam: when a manager asks for somebody of another team.
    :raises BadProfile: when a value is of another shape, or is to hold in the past.
    """
    begins = valid_from or now
    await person_of(tx, user_id)
    if begins < now:
        raise BadProfile(fields={"valid_from": "what held in the past stays as it was"})
    values = {name: checked(name, value) for name, value in wanted.items()}
    known = set() if begins == now else await _planned(tx, user_id, begins)
    held = await _stored(tx, user_id, begins)
    # A plan that says what holds then anyway is kept: somebody may still plan otherwise for a time before it.
    fresh = {
        name: value for name, value in values.items() if value != held[name] or (begins > now and name not in known)
    }
    if not fresh:
        tx.unchanged()
        return
    await tx.executemany(
        "insert into crm.user_profile (tenant_id, id, user_id, field, value, valid_from, set_by, created_at) values"
        " ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::jsonb, $6::timestamptz, $7::uuid, $8::timestamptz)",
        [
            (tx.actor.tenant_id, ids.new(), user_id, name, to_json(value), begins, tx.actor.user_id, now)
            for name, value in fresh.items()
        ],
    )
    told = {**fresh, "valid_from": begins}
    await events.record(tx, "user", user_id, "user.profile_changed", told, at=now)
    await audit.of_person(tx, "user.profile_change", "user", user_id, told, at=now)


def checked(name: str, value: Any) -> Any:
    """Return a field's value as it is stored (sets sorted), or refuse it.

    :raises BadProfile: when the field is unknown or the value of another shape.
    """
    if name == "skills":
        return _skills(value)
    if name in ("languages", "regions"):
        return _codes(name, value, LANGUAGE if name == "languages" else CODE)
    if name == "daily_cap" and (value is None or (type(value) is int and 0 <= value <= LARGEST_CAP)):
        return value
    raise BadProfile(fields={name: f"none, or 0 to {LARGEST_CAP}" if name == "daily_cap" else "not of a profile"})


def _skills(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise BadProfile(fields={"skills": "codes, each with a proficiency"})
    _codes("skills", value, CODE)
    for code, proficiency in value.items():
        if type(proficiency) is not int or proficiency not in PROFICIENCY:
            raise BadProfile(fields={f"skills.{code}": "a proficiency of 1 to 5"})
    return dict(sorted(value.items()))


def _codes(name: str, value: Any, pattern: re.Pattern[str]) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Collection) or len(value) > MOST_CODES:
        raise BadProfile(fields={name: f"at most {MOST_CODES} codes"})
    for code in value:
        if not (isinstance(code, str) and pattern.fullmatch(code)):
            raise BadProfile(fields={name: f"each of the form {pattern.pattern}"})
    return sorted(set(value))


async def person_of(tx: Tx, user_id: UUID) -> asyncpg.Record:
    """Return and lock the account (`team_id`, `created_at`) of somebody whom the actor manages.

    Administrators manage everybody, managers the people of their own team.

    :raises UnknownUser: when there is no such person.
    :raises OtherTeam: when the actor does not manage them.
    """
    row = await tx.fetchrow(
        "select team_id, created_at from crm.user_account where tenant_id = $1::uuid and id = $2::uuid"
        " for no key update",
        tx.actor.tenant_id, user_id,
    )  # fmt: skip
    if row is None:
        raise UnknownUser
    is_theirs = row["team_id"] is not None and row["team_id"] == tx.actor.team_id
    if not (is_theirs or tx.actor.may("user.manage")):
        raise OtherTeam
    return row


async def _stored(tx: Tx, user_id: UUID, at: datetime) -> dict[str, Any]:
    held = (await profiles(tx, [user_id], at))[user_id]
    return {
        "skills": dict(held.skills),
        "languages": sorted(held.languages),
        "regions": sorted(held.regions),
        "daily_cap": held.daily_cap,
    }


async def _planned(tx: Tx, user_id: UUID, at: datetime) -> set[str]:
    """Return the fields that are set from this very instant on."""
    rows = await tx.fetch(
        "select distinct field from crm.user_profile"
        " where tenant_id = $1::uuid and user_id = $2::uuid and valid_from = $3::timestamptz",
        tx.actor.tenant_id, user_id, at,
    )  # fmt: skip
    return {row["field"] for row in rows}


async def history(tx: Tx, user_id: UUID) -> list[asyncpg.Record]:
    """Return every change of a person's profile, planned ones too, the latest first: field, value, from when, by whom.

    :raises UnknownUser: when there is no such person.
    """
    rows = await tx.fetch(
        "select u.id as user_id, p.field, p.value, p.valid_from, p.created_at, p.set_by"
        " from crm.user_account u"
        " left join crm.user_profile p on p.tenant_id = u.tenant_id and p.user_id = u.id"
        " where u.tenant_id = $1::uuid and u.id = $2::uuid order by p.valid_from desc, p.id desc limit 1000",
        tx.actor.tenant_id, user_id,
    )  # fmt: skip
    if not rows:
        raise UnknownUser
    return [row for row in rows if row["field"] is not None]
