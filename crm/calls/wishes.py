"""What an agent wishes for a call that is going on: hold it, mute it, give it to somebody else, end it.

A wish is asked of the exchange; whether it came true is told by the exchange, as everything else of the call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events
from crm.agents import queries as agents
from crm.agents import states
from crm.calls import rows, sending
from crm.calls.rows import CallNotFound
from crm.calls.steps import LIVE, TALKING, Status
from crm.db import Tx
from crm.exchange import Kind, ask
from crm.operation import operation

DIGITS = frozenset("0123456789*#ABCD")
MOST_WISHES = 20
WITHIN = timedelta(seconds=10)
"""Wishes for one call within so long a time; nobody means more of them."""
SUPERVISE = "call.supervise"


class NotGoingOn(errors.Conflict):
    """The call is not at a point where this can be done; look at its status."""

    code = "call.not_going_on"


class TooManyWishes(errors.TooMany):
    """So much was asked for this call within a few seconds that nothing more is taken; wait a moment."""

    code = "call.wishes_throttled"


class UnknownTarget(errors.Invalid):
    """There is nobody to give the call to: name a queue or an agent that is signed on."""

    code = "call.unknown_target"


class NotTones(errors.Invalid):
    """Tones are digits, * and #, at most 32."""

    code = "call.not_tones"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a call is given to: a queue by its code, or an agent. Never a number: nobody here knows any."""

    queue: str | None = None
    agent_user_id: UUID | None = None


@operation("call.make")
async def hang_up(tx: Tx, call_id: UUID, *, now: datetime) -> None:
    """End a call, ringing, going on or not begun yet; one that has ended stays as it is.

    :raises CallNotFound: when it is not the actor's own.
    """
    row = await _own(tx, call_id)
    if row["status"] not in LIVE:
        tx.unchanged()
        return
    if await sending.withdraw(tx, row, now=now):
        await audit.of_person(tx, "call.hang_up", "call", call_id, at=now)
        return
    legs = await _legs(tx, call_id, row["agent_user_id"])
    leg = legs.get("agent") or legs.get("customer") or row["external_id"] or str(call_id)
    await _wish(tx, row, Kind.hang_up, {"leg": leg}, now=now)


@operation("call.make")
async def hold(tx: Tx, call_id: UUID, *, now: datetime) -> None:
    """Let the customer hear music until the call is taken up again.

    :raises CallNotFound, NotGoingOn: when it is not the actor's own, or not in conversation.
    """
    row, legs = await _talking(tx, call_id, Status.connected)
    await _wish(tx, row, Kind.hold, {"leg": legs["customer"], "agent_leg": legs["agent"]}, now=now)


@operation("call.make")
async def resume(tx: Tx, call_id: UUID, *, now: datetime) -> None:
    """Take a held call up again.

    :raises CallNotFound, NotGoingOn: when it is not the actor's own, or not held.
    """
    row, legs = await _talking(tx, call_id, Status.held)
    await _wish(tx, row, Kind.resume, {"leg": legs["customer"], "agent_leg": legs["agent"]}, now=now)


@operation("call.make")
async def mute(tx: Tx, call_id: UUID, *, is_muted: bool, now: datetime) -> None:
    """Let the customer hear the agent no more, or again; a muted call is not on hold.

    :raises CallNotFound, NotGoingOn: when it is not the actor's own, or not in conversation.
    """
    row, legs = await _talking(tx, call_id)
    await _wish(tx, row, Kind.mute, {"leg": legs["agent"], "is_muted": is_muted}, now=now)


@operation("call.make")
async def play_dtmf(tx: Tx, call_id: UUID, digits: str, *, now: datetime) -> None:
    """Send tones to the customer's side; which ones is forgotten once they are sent: they may be a code of theirs.

    :raises CallNotFound, NotGoingOn: when it is not the actor's own, or not in conversation.
    :raises NotTones: when they are none.
    """
    if not 0 < len(digits) <= 32 or not set(digits) <= DIGITS:
        raise NotTones(fields={"digits": "0-9, *, #, A-D; at most 32"})
    row, legs = await _talking(tx, call_id, Status.connected)
    await _wish(tx, row, Kind.play_dtmf, {"leg": legs["customer"], "digits": digits}, now=now)


@operation("call.make")
async def transfer(tx: Tx, call_id: UUID, target: Target, *, is_attended: bool, now: datetime) -> None:
    """Give the customer to a queue or another agent: at once (blind), or after speaking with them (attended).

    :raises CallNotFound, NotGoingOn: when it is not the actor's own, or not in conversation.
    :raises UnknownTarget: when there is no such queue, it is to be spoken with first, or the agent is not signed on.
    """
    row, legs = await _talking(tx, call_id)
    if is_attended and target.queue is not None:
        raise UnknownTarget(fields={"queue": "nobody speaks with a queue first: give it the call at once"})
    where = await _where(tx, target)
    kind = Kind.attended_transfer if is_attended else Kind.blind_transfer
    await _wish(tx, row, kind, {"leg": legs["agent"], **where}, now=now)


@operation("call.make")
async def invite(tx: Tx, call_id: UUID, agent_user_id: UUID, *, now: datetime) -> None:
    """Let another agent join the conversation: all three meet in a conference.

    :raises CallNotFound, NotGoingOn: when it is not the actor's own, or not in conversation.
    :raises UnknownTarget: when the agent is not signed on.
    """
    row, legs = await _talking(tx, call_id, Status.connected)
    endpoint = await agents.endpoint_of(tx, agent_user_id)
    if endpoint is None or not await _is_signed_on(tx, agent_user_id):
        raise UnknownTarget(fields={"agent_user_id": "not signed on"})
    args = {"legs": [legs["customer"], legs["agent"]], "room": str(call_id), "endpoint": endpoint}
    ask_id = await _wish(tx, row, Kind.conference, args, now=now)
    await states.reserve(tx, agent_user_id, call_id, now=now)
    # The leg of whoever joins bears the id of the ask, so that it is known whose it is before it is heard of.
    await tx.execute(
        "insert into crm.call_leg (tenant_id, call_id, leg_id, party, agent_user_id, interface, stage)"
        " values ($1::uuid, $2::uuid, $3::text, 'agent', $4::uuid, $5::text, 'dialled')",
        tx.actor.tenant_id, call_id, str(ask_id), agent_user_id, endpoint,
    )  # fmt: skip


async def _own(tx: Tx, call_id: UUID) -> asyncpg.Record:
    """Return a call that is the actor's, or of their team while they supervise it, locked."""
    row = await rows.lock(tx, call_id)
    agent = row["agent_user_id"]
    if agent != tx.actor.user_id and not (tx.actor.may(SUPERVISE) and await is_of_team(tx, agent)):
        raise CallNotFound
    return row


async def is_of_team(tx: Tx, agent: UUID | None) -> bool:
    """Tell whether the calls of an agent (None: of nobody yet) are among those the actor may look after."""
    if tx.actor.may("lead.view.all"):
        return True
    team: UUID | None = await tx.fetchval(
        "select team_id from crm.user_account where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, agent
    )
    return team is not None and team == tx.actor.team_id


async def _talking(tx: Tx, call_id: UUID, *statuses: Status) -> tuple[asyncpg.Record, Mapping[str, str]]:
    row = await _own(tx, call_id)
    legs = await _legs(tx, call_id, row["agent_user_id"])
    if row["status"] not in (statuses or TALKING) or {"agent", "customer"} - set(legs):
        raise NotGoingOn(fields={"status": row["status"]})
    return row, legs


async def _legs(tx: Tx, call_id: UUID, agent: UUID | None) -> dict[str, str]:
    """Return the live leg of each party; of several agents' that of the call's own."""
    found = await tx.fetch(
        "select party, leg_id from crm.call_leg where tenant_id = $1::uuid and call_id = $2::uuid"
        " and ended_at is null and party <> 'other' order by agent_user_id is not distinct from $3::uuid, started_at"
        " nulls first",
        tx.actor.tenant_id, call_id, agent,
    )  # fmt: skip
    return {row["party"]: row["leg_id"] for row in found}


async def leg_of(tx: Tx, row: Mapping[str, Any], party: str) -> str | None:
    """Return the live leg of a party (`agent`, `customer`) of a call (its row); None when nobody speaks."""
    return (await _legs(tx, row["id"], row["agent_user_id"])).get(party) if row["status"] in TALKING else None


async def _where(tx: Tx, target: Target) -> dict[str, str]:
    """Return where in the dialplan a target is."""
    if target.agent_user_id is not None and target.queue is None:
        endpoint = await agents.endpoint_of(tx, target.agent_user_id)
        if endpoint is None or not await _is_signed_on(tx, target.agent_user_id):
            raise UnknownTarget(fields={"agent_user_id": "not signed on"})
        number = endpoint.rpartition("/")[2].removeprefix("agent-")
        if not number.isdigit():  # an attended transfer is dialled, digit by digit
            raise UnknownTarget(fields={"agent_user_id": "their telephone has no number"})
        return {"context": "agents", "exten": number}
    if target.queue is not None and target.agent_user_id is None:
        if not await tx.fetchval(
            "select true from crm.queue where tenant_id = $1::uuid and code = $2::text and retired_at is null",
            tx.actor.tenant_id, target.queue,
        ):  # fmt: skip
            raise UnknownTarget(fields={"queue": "no such queue"})
        return {"context": "inbound", "exten": target.queue}
    raise UnknownTarget(fields={"queue": "name a queue or an agent, one of them"})


async def _is_signed_on(tx: Tx, user_id: UUID) -> bool:
    sql = "select true from crm.agent_session where tenant_id = $1::uuid and user_id = $2::uuid and ended_at is null"
    return bool(await tx.fetchval(sql, tx.actor.tenant_id, user_id))


ASKED = """
select count(*) from crm.exchange_ask
 where tenant_id = $1::uuid and call_id = $2::uuid and asked_at > $3::timestamptz
"""


async def _wish(tx: Tx, row: Mapping[str, Any], kind: Kind, args: Mapping[str, Any], *, now: datetime) -> UUID:
    """Ask for something; the call is locked, so that wishes are counted one after the other.

    :raises TooManyWishes: when too much was asked for this call a moment ago; there is always room to end it.
    """
    asked = await tx.fetchval(ASKED, tx.actor.tenant_id, row["id"], now - WITHIN)
    if asked >= (2 * MOST_WISHES if kind is Kind.hang_up else MOST_WISHES):
        raise TooManyWishes
    ask_id = await ask(tx, kind, args, call_id=row["id"], now=now)
    told = {"ask_id": ask_id, "kind": kind.value}
    await events.record(tx, "call", row["id"], "call.wished", rows.payload(row) | told, at=now)
    await audit.of_person(tx, f"call.{kind.value}", "call", row["id"], told, at=now)
    return ask_id


async def latest(tx: Tx, call_id: UUID) -> Sequence[asyncpg.Record]:
    """Return what was asked of the exchange for a call, the latest first, with what came of it."""
    return await tx.fetch(
        "select id, kind, status, failure, asked_at, answered_at from crm.exchange_ask"
        " where tenant_id = $1::uuid and call_id = $2::uuid order by asked_at desc, id desc limit 50",
        tx.actor.tenant_id, call_id,
    )  # fmt: skip
