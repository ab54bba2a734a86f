"""Listening to the calls of one's team: to learn (listen), to speak to the agent alone (whisper), to join (barge).

The supervisor's own telephone rings; what it hears is no leg of the call, and no figure counts it. The exchange's id of
that telephone's channel is the id of the ask, so that it can be ended again.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import asyncpg

from crm import audit, codes, errors, events, ids, tenant_settings
from crm.agents import rules, states
from crm.agents.queries import endpoint_of
from crm.agents.sessions import NoEndpoint
from crm.agents.states import AgentBusy
from crm.calls import rows, wishes
from crm.calls.rows import CallNotFound
from crm.db import Tx
from crm.exchange import Kind, ask
from crm.operation import operation


class Mode(StrEnum):
    """How a supervisor takes part."""

    listen = "listen"
    """Nobody hears them."""
    whisper = "whisper"
    """The agent hears them, the customer does not."""
    barge = "barge"
    """Both hear them."""


class Notice(StrEnum):
    """What an agent learns of being listened to."""

    told = "told"
    """When it begins and when it ends."""
    told_after = "told_after"
    not_told = "not_told"
    """Nothing, where the law allows it. Who whispers or barges in is heard, and so told, all the same."""


NOTICE: tenant_settings.Setting[Literal["told", "told_after", "not_told"]] = tenant_settings.declare(
    "call.supervision_notice",
    Literal["told", "told_after", "not_told"],
    "told",
    tr="Dinlenen temsilciye bilgi: anında, sonradan, hiç (yalnızca hukukun izin verdiği yerde)",
    en="What an agent learns of being listened to: at once, afterwards, nothing (only where the law allows)",
)


class NothingToHear(errors.Conflict):
    """Only a conversation that is going on, of somebody else's, can be supervised."""

    code = "call.nothing_to_hear"


OPEN = """
select s.*, c.ended_at as call_ended_at, a.status as ask_status
  from crm.call_supervision s
  join crm.call c on c.tenant_id = s.tenant_id and c.id = s.call_id
  left join crm.exchange_ask a on a.tenant_id = s.tenant_id and a.id = s.ask_id
 where s.tenant_id = $1::uuid and s.ended_at is null
"""
OF_SUPERVISOR = f"{OPEN} and s.supervisor_id = $2::uuid order by s.id for no key update of s"
OF_LEGS = f"{OPEN} and s.ask_id = any($2::uuid[]) order by s.id for no key update of s"
OVER = f"""{OPEN} and (c.ended_at is not null or a.status in ('refused', 'unanswered', 'expired'))
 order by s.id limit $2::int for no key update of s skip locked"""
BATCH = 100


@operation("call.supervise")
async def begin(tx: Tx, call_id: UUID, mode: Mode, *, reason: str, now: datetime) -> UUID:
    """Take part in a conversation of an agent of one's team by one's own telephone; return the supervision's id.

    One at a time: whoever takes part elsewhere, or in another way, leaves that. `reason`: a code, for the audit log.

    :raises crm.codes.NotACode: when the reason is no code.
    :raises crm.calls.rows.CallNotFound: when there is no such call, or its agent is of another team.
    :raises NothingToHear: when nobody speaks, or it is the supervisor's own call.
    :raises crm.agents.sessions.NoEndpoint: when the supervisor has no telephone.
    :raises crm.agents.states.AgentBusy: when the supervisor has a call.
    """
    codes.require(reason=reason)
    supervisor = tx.actor.user_id
    if supervisor is None:
        raise errors.Invalid("a person listens")
    call = await rows.lock(tx, call_id)
    leg = await _leg_of_agent(tx, call)
    endpoint = await _telephone(tx, supervisor)
    for each in await tx.fetch(OF_SUPERVISOR, tx.actor.tenant_id, supervisor):
        await _leave(tx, each, now=now)
    chosen = await tenant_settings.value(tx, NOTICE, at=now)
    notice = Notice(chosen) if mode is Mode.listen else Notice.told
    # Not an ask of the call, whose asks its agent sees.
    ask_id = await ask(tx, Kind.spy, {"endpoint": endpoint, "leg": leg, "mode": mode.value}, now=now)
    which = {
        "id": ids.new(), "call_id": call_id, "supervisor_id": supervisor, "agent_user_id": call["agent_user_id"],
        "mode": mode.value, "reason": reason, "notice": notice.value,
    }  # fmt: skip
    await tx.execute(
        "insert into crm.call_supervision (tenant_id, id, call_id, supervisor_id, agent_user_id, mode, reason, notice,"
        " ask_id, asked_at) values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::text, $7::text, $8::text,"
        " $9::uuid, $10::timestamptz)",
        tx.actor.tenant_id, *which.values(), ask_id, now,
    )  # fmt: skip
    await _tell(tx, which, call, is_over=False, now=now)
    await audit.of_person(tx, f"call.{mode.value}", "call", call_id, which, at=now)
    return UUID(str(which["id"]))


async def _leg_of_agent(tx: Tx, call: asyncpg.Record) -> str:
    """Return the leg of the agent who speaks."""
    agent = call["agent_user_id"]
    if agent is None or agent == tx.actor.user_id:
        raise NothingToHear(fields={"call_id": "nobody's, or your own"})
    if not await wishes.is_of_team(tx, agent):
        raise CallNotFound
    leg = await wishes.leg_of(tx, call, "agent")
    if leg is None:
        raise NothingToHear(fields={"status": call["status"]})
    return leg


async def _telephone(tx: Tx, supervisor: UUID) -> str:
    """Return the supervisor's telephone, on which they have no call."""
    endpoint = await endpoint_of(tx, supervisor)
    if endpoint is None:
        raise NoEndpoint
    held = await states.lock(tx, supervisor)
    if held is not None and held.standing.state in rules.BUSY:
        raise AgentBusy("end your own call first")
    return endpoint


@operation("call.supervise")
async def stop(tx: Tx, call_id: UUID, *, now: datetime) -> None:
    """Leave a call that one takes part in; nothing happens when one does not.

    :raises crm.calls.rows.CallNotFound: when there is no such call.
    """
    await rows.lock(tx, call_id)
    found = await tx.fetch(OF_SUPERVISOR, tx.actor.tenant_id, tx.actor.user_id)
    mine = [each for each in found if each["call_id"] == call_id]
    for each in mine:
        await _leave(tx, each, now=now)
        await audit.of_person(tx, "call.supervision_stop", "call", call_id, {"id": each["id"]}, at=now)
    if not mine:
        tx.unchanged()


async def _leave(tx: Tx, supervision: asyncpg.Record, *, now: datetime) -> None:
    await ask(tx, Kind.hang_up, {"leg": str(supervision["ask_id"])}, now=now)
    await _end(tx, supervision, now=now)


@operation("call.hear")
async def hear_end(tx: Tx, legs: Iterable[str], *, now: datetime) -> None:
    """Take note that the telephones of supervisors were put down, among whatever legs the exchange says have ended."""
    wanted = [found for leg in legs if (found := _as_id(leg)) is not None]
    over = await tx.fetch(OF_LEGS, tx.actor.tenant_id, wanted) if wanted else []
    for each in over:
        await _end(tx, each, now=now)
    if not over:
        tx.unchanged()


def _as_id(leg: str) -> UUID | None:
    try:
        return UUID(leg)
    except ValueError:
        return None


@operation("call.hear")
async def settle(tx: Tx, *, now: datetime) -> int:
    """End what is over because its call is, or because the supervisor's telephone never answered; return how many."""
    over = await tx.fetch(OVER, tx.actor.tenant_id, BATCH)
    for each in over:
        await _end(tx, each, now=min(now, each["call_ended_at"] or now))
    if not over:
        tx.unchanged()
    return len(over)


async def _end(tx: Tx, supervision: Mapping[str, Any], *, now: datetime) -> None:
    await tx.execute(
        "update crm.call_supervision set ended_at = greatest($3::timestamptz, asked_at)"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, supervision["id"], now,
    )  # fmt: skip
    call = await tx.fetchrow(
        f"select {', '.join(rows.TOLD)} from crm.call where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, supervision["call_id"],
    )  # fmt: skip
    assert call is not None, "supervisions go with their call"
    await _tell(tx, supervision, call, is_over=True, now=now)


async def _tell(
    tx: Tx, supervision: Mapping[str, Any], call: Mapping[str, Any], *, is_over: bool, now: datetime
) -> None:
    """Write what happened, and tell the agent as the firm's notice has it."""
    told = {name: supervision[name] for name in ("call_id", "supervisor_id", "agent_user_id", "mode", "notice")}
    kind = "call_supervision.ended" if is_over else "call_supervision.began"
    await events.record(tx, "call_supervision", supervision["id"], kind, told, at=now)
    notice = Notice(supervision["notice"])
    if notice is Notice.told or (notice is Notice.told_after and is_over):
        who = {name: supervision[name] for name in ("agent_user_id", "supervisor_id", "mode")}
        payload = rows.payload(call) | who | {"supervision_id": supervision["id"], "is_over": is_over}
        await events.record(tx, "call", supervision["call_id"], "call.supervised", payload, at=now)


async def of_call(tx: Tx, call_id: UUID) -> list[asyncpg.Record]:
    """Return who took part in a call of one's team, the latest first.

    :raises crm.calls.rows.CallNotFound: when there is no such call, or its agent is of another team.
    """
    call = await tx.fetchrow(
        "select agent_user_id from crm.call where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, call_id
    )
    if call is None or not await wishes.is_of_team(tx, call["agent_user_id"]):
        raise CallNotFound
    return await tx.fetch(
        "select id, call_id, supervisor_id, agent_user_id, mode, reason, notice, asked_at, ended_at"
        " from crm.call_supervision where tenant_id = $1::uuid and call_id = $2::uuid order by id desc limit 100",
        tx.actor.tenant_id, call_id,
    )  # fmt: skip
