"""Which telephone an agent works at: given and taken by administrators, one to one."""

import re
from datetime import datetime
from uuid import UUID

from crm import audit, errors, events
from crm.agents import sessions, states
from crm.agents.queries import endpoint_of
from crm.db import Tx
from crm.operation import operation
from crm.users import queries as users

ENDPOINT = re.compile(r"(?:PJSIP|SIP|IAX2|SCCP)/(?!(?:.*[0-9]){9})[A-Za-z0-9_.-]{1,80}")
"""A telephone registered at the exchange: a technology and a name, `PJSIP/agent-7`. Nothing by which somebody outside
could be dialled as if they were an agent: no address (`@`), no second part (`/`), no `Local/`, no number."""


class BadEndpoint(errors.Invalid):
    """This is no telephone of the exchange; write it as PJSIP/agent-7."""

    code = "agent.endpoint_invalid"


class EndpointTaken(errors.Conflict):
    """Another agent works at this telephone."""

    code = "agent.endpoint_taken"


class SignedOn(errors.Conflict):
    """The agent is signed on at the telephone; sign them off first."""

    code = "agent.signed_on"


@operation("agent.manage")
async def give(tx: Tx, user_id: UUID, endpoint: str, *, now: datetime) -> None:
    """Give a person a telephone to work at, in the place of the one they had.

    :raises crm.users.queries.UnknownUser: when there is no such person.
    :raises BadEndpoint: when it is no telephone of the exchange.
    :raises EndpointTaken: when it is another agent's.
    :raises SignedOn: when they are signed on at another one.
    """
    if not ENDPOINT.fullmatch(endpoint):
        raise BadEndpoint(fields={"endpoint": "as PJSIP/agent-7"})
    person = await users.user(tx, user_id)
    before = await _lock(tx, user_id)
    if before == endpoint:
        tx.unchanged()
        return
    if before is not None and await states.lock(tx, user_id) is not None:
        raise SignedOn
    if await tx.fetchval(
        "select 1 from crm.agent where tenant_id = $1::uuid and endpoint = $2::text", tx.actor.tenant_id, endpoint
    ):
        raise EndpointTaken(fields={"endpoint": "in use"})
    await tx.execute(
        "insert into crm.agent (tenant_id, user_id, endpoint, set_by, created_at, updated_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::uuid, $5::timestamptz, $5::timestamptz)"
        " on conflict (tenant_id, user_id) do update"
        " set endpoint = excluded.endpoint, set_by = excluded.set_by, updated_at = excluded.updated_at",
        tx.actor.tenant_id, user_id, endpoint, tx.actor.user_id, now,
    )  # fmt: skip
    await events.record(tx, "agent", user_id, "agent.endpoint_given", {"team_id": person["team_id"]}, at=now)
    await audit.of_person(tx, "agent.endpoint_give", "agent", user_id, at=now)


@operation("agent.manage")
async def take(tx: Tx, user_id: UUID, *, now: datetime) -> None:
    """Take a person's telephone away; nothing happens when they have none.

    :raises crm.users.queries.UnknownUser: when there is no such person.
    :raises SignedOn: when they are signed on at it.
    """
    person = await users.user(tx, user_id)
    if await _lock(tx, user_id) is None:
        tx.unchanged()
        return
    if await states.lock(tx, user_id) is not None:
        raise SignedOn
    await tx.execute(
        "delete from crm.agent where tenant_id = $1::uuid and user_id = $2::uuid", tx.actor.tenant_id, user_id
    )
    await events.record(tx, "agent", user_id, "agent.endpoint_taken", {"team_id": person["team_id"]}, at=now)
    await audit.of_person(tx, "agent.endpoint_take", "agent", user_id, at=now)


async def _lock(tx: Tx, user_id: UUID) -> str | None:
    """Return a person's telephone, at which nobody signs on meanwhile."""
    await sessions.lock_telephone(tx, user_id)
    return await endpoint_of(tx, user_id)
