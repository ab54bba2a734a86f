"""Whether an agent takes new leads: said by themselves, and following from their account."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from crm import errors
from crm.db import Tx
from crm.operation import operation
from crm.users import rules
from crm.users.notes import note


class InNoTeam(errors.Conflict):
    """This person is in no team, so no leads are distributed to them."""

    code = "agent.no_team"


@operation("agent.availability")
async def set_availability(tx: Tx, *, accepting: bool, now: datetime) -> None:
    """Say whether the acting person takes new leads.

    :raises InNoTeam: when they are in no team.
    """
    user_id = tx.actor.user_id
    if user_id is None:
        raise errors.Invalid("the system takes no leads")
    if not await tx.fetchval(
        "select 1 from crm.routing_member where tenant_id = $1::uuid and user_id = $2::uuid",
        tx.actor.tenant_id,
        user_id,
    ):
        raise InNoTeam
    if not await accept(tx, user_id, accepting, now):
        tx.unchanged()


async def accept(tx: Tx, user_id: UUID, accepting: bool, now: datetime) -> bool:
    """Change whether distribution gives a person leads; return whether anything changed."""
    changed = await tx.fetch(
        "update crm.routing_member set accepting = $3::bool, updated_at = $4::timestamptz"
        " where tenant_id = $1::uuid and user_id = $2::uuid and accepting <> $3::bool returning team_id",
        tx.actor.tenant_id, user_id, accepting, now,
    )  # fmt: skip
    for row in changed:
        await note(
            tx, "agent", user_id, "agent.availability_changed", now, accepting=accepting, team_id=row["team_id"]
        )  # fmt: skip
    return bool(changed)


async def join(tx: Tx, user_id: UUID, roles: Sequence[str], team_id: UUID | None, now: datetime) -> None:
    """Let a sales agent of a team take leads."""
    if team_id is None or rules.Role.sales_agent not in roles:
        return
    joined = await tx.fetchval(
        "insert into crm.routing_member (tenant_id, team_id, user_id, updated_at)"
        " values ($1::uuid, $2::uuid, $3::uuid, $4::timestamptz) on conflict do nothing returning true",
        tx.actor.tenant_id, team_id, user_id, now,
    )  # fmt: skip
    if joined:
        await note(tx, "agent", user_id, "agent.availability_changed", now, accepting=True, team_id=team_id)
