"""Teams: who works together, where, in which zone."""

from datetime import datetime
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from crm import audit, errors, events, ids
from crm.db import Tx
from crm.operation import operation
from crm.users import queries


class NameTaken(errors.Conflict):
    """A team of this name exists already."""

    code = "team.name_taken"


class TeamInUse(errors.Conflict):
    """This team has members, connections or leads (now or once), or is the default team: it cannot be deleted."""

    code = "team.in_use"


@operation("team.manage")
async def create(
    tx: Tx,
    *,
    name: str,
    timezone: str = "Europe/Istanbul",
    region: str | None = None,
    is_default: bool = False,
    now: datetime,
) -> UUID:
    """Make a team; return its id.

    :raises NameTaken: when there is one of that name.
    """
    _require_zone(timezone)
    team_id = ids.new()
    made = await tx.fetchval(
        "insert into crm.team (tenant_id, id, name, timezone, region, is_default, created_at, updated_at) values"
        " ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::bool, $7::timestamptz, $7::timestamptz)"
        " on conflict (tenant_id, name) do nothing returning true",
        tx.actor.tenant_id, team_id, name, timezone, region, is_default, now,
    )  # fmt: skip
    if not made:
        raise NameTaken(fields={"name": "in use"})
    await _note(tx, team_id, "team.created", now)
    return team_id


@operation("team.manage")
async def update(
    tx: Tx,
    team_id: UUID,
    *,
    name: str | None = None,
    timezone: str | None = None,
    region: str | None = None,
    now: datetime,
) -> None:
    """Change a team; None leaves a thing as it is.

    :raises crm.users.queries.UnknownTeam: when there is no such team.
    :raises NameTaken: when another one has that name.
    """
    before = await queries.team(tx, team_id)
    _require_zone(timezone or before["timezone"])
    if name is not None and await tx.fetchval(
        "select 1 from crm.team where tenant_id = $1::uuid and name = $2::text and id <> $3::uuid",
        tx.actor.tenant_id, name, team_id,
    ):  # fmt: skip
        raise NameTaken(fields={"name": "in use"})
    after = {
        "name": name or before["name"],
        "timezone": timezone or before["timezone"],
        "region": region or before["region"],
    }
    altered = [field for field, value in after.items() if value != before[field]]
    if not altered:
        tx.unchanged()
        return
    await tx.execute(
        "update crm.team set name = $3::text, timezone = $4::text, region = $5::text, updated_at = $6::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, team_id, *after.values(), now,
    )  # fmt: skip
    await _note(tx, team_id, "team.updated", now, changed=altered)


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
    await _note(tx, team_id, "team.deleted", now)


@cache
def _zones() -> set[str]:
    return available_timezones()


def _require_zone(timezone: str) -> None:
    if timezone not in _zones():
        raise errors.Invalid(
            f"{timezone!r} is not a time zone", fields={"timezone": "an IANA name, as Europe/Istanbul"}
        )


async def _note(tx: Tx, team_id: UUID, what: str, now: datetime, **detail: object) -> None:
    await events.record(tx, "team", team_id, what, detail, at=now)
    await audit.record(tx, what, "team", team_id, detail, at=now)
