"""Teams: who works together, where, in which zone, led by whom. What was true of one stays readable by its instant."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

import asyncpg

from crm import errors, ids
from crm.db import Tx
from crm.operation import operation
from crm.users import queries
from crm.users.notes import note


class NameTaken(errors.Conflict):
    """A team of this name exists already."""

    code = "team.name_taken"


class TeamInUse(errors.Conflict):
    """This team has members, connections or leads (now or once), or is the default team: it cannot be deleted."""

    code = "team.in_use"


class UnknownLead(errors.Invalid):
    """A team is led by somebody who works here."""

    code = "team.lead_unknown"


CHANGEABLE = ("name", "timezone", "region", "lead_user_id")
DATED = ("timezone", "region", "lead_user_id")
"""What a team had at an instant can be asked for; its name is what it is called today."""


@operation("team.manage")
async def create(
    tx: Tx,
    *,
    name: str,
    timezone: str = "Europe/Istanbul",
    region: str | None = None,
    lead_user_id: UUID | None = None,
    is_default: bool = False,
    now: datetime,
) -> UUID:
    """Make a team; return its id.

    :raises NameTaken: when there is one of that name.
    :raises UnknownLead: when nobody active has that id.
    """
    _require_zone(timezone)
    await _require_lead(tx, lead_user_id)
    team_id = ids.new()
    made = await tx.fetchval(
        "insert into crm.team"
        " (tenant_id, id, name, timezone, region, lead_user_id, is_default, created_at, updated_at) values"
        " ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::uuid, $7::bool, $8::timestamptz, $8::timestamptz)"
        " on conflict (tenant_id, name) do nothing returning true",
        tx.actor.tenant_id, team_id, name, timezone, region, lead_user_id, is_default, now,
    )  # fmt: skip
    if not made:
        raise NameTaken(fields={"name": "in use"})
    dated = {"timezone": timezone, "region": region, "lead_user_id": lead_user_id}
    await _remember(tx, team_id, dated, begins=now, by_whom=tx.actor.user_id)
    await note(tx, "team", team_id, "team.created", now, timezone=timezone)
    return team_id


@operation("team.manage")
async def update(
    tx: Tx,
    team_id: UUID,
    *,
    name: str | None = None,
    timezone: str | None = None,
    region: str | None = None,
    lead_user_id: UUID | None = None,
    clear: Collection[str] = (),
    now: datetime,
) -> None:
    """Change a team; None leaves a thing as it is, `clear` names those to be emptied (region, lead).

    :raises crm.users.queries.UnknownTeam: when there is no such team.
    :raises NameTaken: when another one has that name.
    :raises UnknownLead: when nobody active has that id.
    """
    before = await _locked(tx, team_id)
    wanted = {"name": name, "timezone": timezone, "region": region, "lead_user_id": lead_user_id}
    after = {
        field: None if field in clear else before[field] if value is None else value for field, value in wanted.items()
    }
    altered = [field for field in CHANGEABLE if after[field] != before[field]]
    if not altered:
        tx.unchanged()
        return
    await _require_sound(tx, team_id, after, altered)
    await tx.execute(
        "update crm.team set name = $3::text, timezone = $4::text, region = $5::text, lead_user_id = $6::uuid,"
        " updated_at = $7::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, team_id, *after.values(), now,
    )  # fmt: skip
    if set(altered) & set(DATED):
        await _remember_first(tx, team_id, before)
        await _remember(tx, team_id, after, begins=now, by_whom=tx.actor.user_id)
    told = {field: after[field] for field in altered if field == "lead_user_id"}
    await note(tx, "team", team_id, "team.updated", now, changed=altered, timezone=after["timezone"], **told)


async def _locked(tx: Tx, team_id: UUID) -> asyncpg.Record:
    row = await tx.fetchrow(
        f"select {', '.join(CHANGEABLE)}, created_at from crm.team"
        " where tenant_id = $1::uuid and id = $2::uuid for no key update",
        tx.actor.tenant_id,
        team_id,
    )
    if row is None:
        raise queries.UnknownTeam
    return row


async def _require_sound(tx: Tx, team_id: UUID, after: Mapping[str, Any], altered: Collection[str]) -> None:
    _require_zone(after["timezone"])
    if "lead_user_id" in altered:
        await _require_lead(tx, after["lead_user_id"])
    if "name" in altered and await tx.fetchval(
        "select 1 from crm.team where tenant_id = $1::uuid and name = $2::text and id <> $3::uuid",
        tx.actor.tenant_id, after["name"], team_id,
    ):  # fmt: skip
        raise NameTaken(fields={"name": "in use"})


async def _require_lead(tx: Tx, user_id: UUID | None) -> None:
    if user_id is not None and not await tx.fetchval(
        "select 1 from crm.user_account where tenant_id = $1::uuid and id = $2::uuid and is_active",
        tx.actor.tenant_id, user_id,
    ):  # fmt: skip
        raise UnknownLead(fields={"lead_user_id": "nobody active"})


async def _remember_first(tx: Tx, team_id: UUID, before: asyncpg.Record) -> None:
    """Keep what was true since the team was made, where nothing is kept yet."""
    if not await tx.fetchval(
        "select 1 from crm.team_version where tenant_id = $1::uuid and team_id = $2::uuid limit 1",
        tx.actor.tenant_id, team_id,
    ):  # fmt: skip
        await _remember(tx, team_id, before, begins=before["created_at"])


async def _remember(
    tx: Tx, team_id: UUID, values: Mapping[str, Any], *, begins: datetime, by_whom: UUID | None = None
) -> None:
    await tx.execute(
        # Who waited for the team's lock may have asked earlier than the one before them: what is true now comes last.
        "insert into crm.team_version (tenant_id, id, team_id, timezone, region, lead_user_id, valid_from, set_by)"
        " values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::uuid, greatest($7::timestamptz,"
        " (select max(v.valid_from) from crm.team_version v where v.tenant_id = $1::uuid and v.team_id = $3::uuid)),"
        " $8::uuid)",
        tx.actor.tenant_id, ids.new(), team_id, *(values[field] for field in DATED), begins, by_whom,
    )  # fmt: skip


async def history(tx: Tx, team_id: UUID) -> list[asyncpg.Record]:
    """Return what was true of a team from when on (zone, region, lead), the latest first.

    :raises crm.users.queries.UnknownTeam: when there is no such team.
    """
    await queries.team(tx, team_id)
    return await tx.fetch(
        f"select {', '.join(DATED)}, valid_from, set_by from crm.team_version"
        " where tenant_id = $1::uuid and team_id = $2::uuid order by valid_from desc, id desc limit 1000",
        tx.actor.tenant_id, team_id,
    )  # fmt: skip


IN_USE = """
select t.is_default
    or exists (select 1 from crm.user_account u where u.tenant_id = t.tenant_id and u.team_id = t.id)
    or exists (select 1 from crm.lead l where l.tenant_id = t.tenant_id and l.team_id = t.id)
    or exists (select 1 from crm.connection c where c.tenant_id = t.tenant_id and c.team_id = t.id)
    or exists (select 1 from crm.lead_assignment a where a.tenant_id = t.tenant_id and a.team_id = t.id)
    or exists (select 1 from crm.invitation i
                where i.tenant_id = t.tenant_id and i.team_id = t.id and i.accepted_at is null)
  from crm.team t where t.tenant_id = $1::uuid and t.id = $2::uuid for update
"""


@operation("team.manage")
async def delete(tx: Tx, team_id: UUID, *, now: datetime) -> None:
    """Delete a team that nothing needs.

    :raises crm.users.queries.UnknownTeam: when there is no such team.
    :raises TeamInUse: when it is the default team, or somebody or something belongs to it.
    """
    in_use = await tx.fetchval(IN_USE, tx.actor.tenant_id, team_id)
    if in_use is None:
        raise queries.UnknownTeam
    if in_use:
        raise TeamInUse
    for table, column in (("routing_member", "team_id"), ("team", "id")):
        await tx.execute(
            f"delete from crm.{table} where tenant_id = $1::uuid and {column} = $2::uuid", tx.actor.tenant_id, team_id
        )
    await note(tx, "team", team_id, "team.deleted", now)


@cache
def _zones() -> set[str]:
    return available_timezones()


def _require_zone(timezone: str) -> None:
    if timezone not in _zones():
        raise errors.Invalid(
            f"{timezone!r} is not a time zone", fields={"timezone": "an IANA name, as Europe/Istanbul"}
        )
