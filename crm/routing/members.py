"""Who takes part in distribution, and how: members of a team with weight and capacity, and pauses."""

from datetime import datetime
from uuid import UUID

from crm import audit, errors, events
from crm.db import Tx
from crm.operation import operation


class UnknownMember(errors.NotFound):
    """There is no such team, or no such active person."""

    code = "routing.member_unknown"


@operation("routing.manage")
async def set_member(
    tx: Tx, team_id: UUID, user_id: UUID, *, weight: int, capacity: int, accepting: bool = True, now: datetime
) -> None:
    """Let a person take leads of a team, or change how: `weight` is their share, `capacity` the most open leads.

    :raises UnknownMember: when there is no such team or active person.
    """
    known = await tx.fetchval(
        """select exists (select from crm.team where tenant_id = $1::uuid and id = $2::uuid)
              and exists (select from crm.user_account where tenant_id = $1::uuid and id = $3::uuid and is_active)""",
        tx.actor.tenant_id, team_id, user_id,
    )  # fmt: skip
    if not known:
        raise UnknownMember
    changed = await tx.fetchval(
        """insert into crm.routing_member as m (tenant_id, team_id, user_id, weight, capacity, accepting, updated_at)
           values ($1::uuid, $2::uuid, $3::uuid, $4::int, $5::int, $6::boolean, $7::timestamptz)
           on conflict (tenant_id, team_id, user_id) do update
              set weight = excluded.weight, capacity = excluded.capacity, accepting = excluded.accepting,
                  updated_at = excluded.updated_at
            where (m.weight, m.capacity, m.accepting) <> (excluded.weight, excluded.capacity, excluded.accepting)
           returning true""",
        tx.actor.tenant_id, team_id, user_id, weight, capacity, accepting, now,
    )  # fmt: skip
    if not changed:
        tx.unchanged()
        return
    detail = {"user_id": user_id, "weight": weight, "capacity": capacity, "accepting": accepting}
    await events.record(tx, "team", team_id, "routing.member_changed", detail, at=now)
    await audit.record(tx, "routing.member_change", "team", team_id, detail, at=now)


@operation("routing.manage")
async def remove_member(tx: Tx, team_id: UUID, user_id: UUID, *, now: datetime) -> None:
    """Give a person no more leads of a team; those in their hands stay there.

    :raises UnknownMember: when they take none.
    """
    done = await tx.execute(
        "delete from crm.routing_member where tenant_id = $1::uuid and team_id = $2::uuid and user_id = $3::uuid",
        tx.actor.tenant_id, team_id, user_id,
    )  # fmt: skip
    if done == "DELETE 0":
        raise UnknownMember
    await events.record(tx, "team", team_id, "routing.member_removed", {"user_id": user_id}, at=now)
    await audit.record(tx, "routing.member_remove", "team", team_id, {"user_id": user_id}, at=now)
