"""What an agent does at the telephone, and what a supervisor does in their place."""

from datetime import datetime
from typing import Any
from uuid import UUID

from crm import audit, codes, errors, tenant_settings
from crm.agents import rules, sessions, settings, states
from crm.agents.rules import By, Pending, Standing, State
from crm.agents.states import AgentBusy, Held, NotSignedOn
from crm.db import Tx
from crm.operation import operation
from crm.users import profiles


class UnknownPause(errors.Invalid):
    """There is no such reason for a pause in the firm's catalogue."""

    code = "agent.unknown_pause_reason"


def _self(tx: Tx) -> UUID:
    if tx.actor.user_id is None:
        raise errors.Invalid("the system has no telephone")
    return tx.actor.user_id


@operation("agent.work")
async def sign_on(tx: Tx, *, now: datetime) -> UUID:
    """Sign the acting person on at their telephone, available, and return the session's id.

    Who is signed on already stays so, and is there again.

    :raises crm.agents.sessions.NoEndpoint: when they have no telephone.
    """
    user_id = _self(tx)
    await sessions.lock_telephone(tx, user_id)
    held = await states.lock(tx, user_id)
    if held is not None:
        if await sessions.heard_of(tx, user_id, now=now):
            await _note(tx, user_id, "sign_on", now)
        else:
            tx.unchanged()
        return held.session_id
    session_id = await sessions.begin(tx, user_id, now=now)
    await _note(tx, user_id, "sign_on", now, session_id=session_id)
    return session_id


@operation("agent.work")
async def beat(tx: Tx, *, now: datetime) -> None:
    """Say that the acting agent is there; due a few times in each half minute.

    :raises NotSignedOn: when they are in no session.
    """
    user_id = _self(tx)
    if await sessions.heard_of(tx, user_id, now=now):
        await _note(tx, user_id, "return", now)
    else:
        tx.unchanged()


@operation("agent.work")
async def sign_off(tx: Tx, *, now: datetime) -> None:
    """Sign the acting person off; nothing happens when they are.

    :raises AgentBusy: when they have a call.
    """
    user_id = _self(tx)
    held = await states.lock(tx, user_id)
    if held is None:
        tx.unchanged()
        return
    if held.standing.state in rules.BUSY:
        raise AgentBusy("end the call first")
    await states.end(tx, held, reason=states.SIGNED_OFF, now=now)
    await _note(tx, user_id, "sign_off", now, session_id=held.session_id)


@operation("agent.work")
async def pause(tx: Tx, reason: str, *, now: datetime) -> None:
    """Take no more calls, for a reason of the firm's catalogue; in a call, from when it is over.

    :raises UnknownPause: when the catalogue has no such reason.
    :raises NotSignedOn: when they are in no session.
    """
    user_id = _self(tx)
    await _require_reason(tx, reason, now)
    if await _become(tx, user_id, Pending(State.paused, reason, user_id), now=now):
        await _note(tx, user_id, "pause", now, reason=reason)


@operation("agent.work")
async def make_ready(tx: Tx, *, now: datetime) -> None:
    """Take calls again: after a pause, at the end of the wrap-up, or not to be paused after the call after all.

    :raises NotSignedOn: when they are in no session.
    """
    user_id = _self(tx)
    if await _make_ready(tx, user_id, now=now):
        await _note(tx, user_id, "ready", now)


@operation("agent.supervise")
async def pause_other(tx: Tx, user_id: UUID, reason: str, *, now: datetime) -> None:
    """Pause an agent of one's team, for a reason of the firm's catalogue; in a call, from when it is over.

    :raises crm.users.queries.UnknownUser: when there is no such person.
    :raises crm.users.profiles.OtherTeam: when they are of another team.
    :raises UnknownPause: when the catalogue has no such reason.
    :raises NotSignedOn: when they are in no session.
    """
    await profiles.person_of(tx, user_id)
    await _require_reason(tx, reason, now)
    if await _become(tx, user_id, Pending(State.paused, reason, tx.actor.user_id), now=now):
        await _note(tx, user_id, "pause_other", now, reason=reason)


@operation("agent.supervise")
async def make_other_ready(tx: Tx, user_id: UUID, reason: str, *, now: datetime) -> None:
    """End the pause of an agent of one's team. `reason`: a code, for the audit log.

    :raises crm.users.queries.UnknownUser: when there is no such person.
    :raises crm.users.profiles.OtherTeam: when they are of another team.
    :raises crm.codes.NotACode: when the reason is no code.
    :raises NotSignedOn: when they are in no session.
    """
    codes.require(reason=reason)
    await profiles.person_of(tx, user_id)
    if await _make_ready(tx, user_id, now=now):
        await _note(tx, user_id, "ready_other", now, reason=reason)


@operation("agent.supervise")
async def sign_off_other(tx: Tx, user_id: UUID, reason: str, *, now: datetime) -> None:
    """Sign an agent of one's team off; in a call, when it is over. `reason`: a code.

    :raises crm.users.queries.UnknownUser: when there is no such person.
    :raises crm.users.profiles.OtherTeam: when they are of another team.
    :raises crm.codes.NotACode: when the reason is no code.
    :raises NotSignedOn: when they are in no session.
    """
    codes.require(reason=reason)
    await profiles.person_of(tx, user_id)
    if await _become(tx, user_id, Pending(State.offline, reason, tx.actor.user_id), now=now):
        await _note(tx, user_id, "sign_off_other", now, reason=reason)


async def _become(tx: Tx, user_id: UUID, wanted: Pending, *, now: datetime) -> bool:
    """Do what a person wishes for an agent, or remember it until the call is over; return whether anything changed."""
    held = await _held(tx, user_id)
    if held.standing.state in rules.BUSY:
        new = rules.wish(held.standing, wanted)
    else:
        new = rules.step(held.standing, wanted.to, by=By.person, reason=wanted.reason)
    return await _enter(tx, held, new, now=now)


async def _make_ready(tx: Tx, user_id: UUID, *, now: datetime) -> bool:
    held = await _held(tx, user_id)
    if held.standing.state in rules.BUSY:
        new = rules.unwish(held.standing)
    else:
        new = rules.step(held.standing, State.available, by=By.person)
    return await _enter(tx, held, new, now=now)


async def _enter(tx: Tx, held: Held, new: Standing | None, *, now: datetime) -> bool:
    if new is None:
        tx.unchanged()
        return False
    await states.enter(tx, held, new, now=now, is_sign_of_life=tx.actor.user_id == held.user_id)
    return True


async def _held(tx: Tx, user_id: UUID) -> Held:
    held = await states.lock(tx, user_id)
    if held is None:
        raise NotSignedOn
    return held


async def _require_reason(tx: Tx, reason: str, now: datetime) -> None:
    known = await tenant_settings.value(tx, settings.PAUSES, at=now)
    if known.find(reason) is None:
        raise UnknownPause(fields={"reason": f"one of {', '.join(each.code for each in known.reasons)}"})


async def _note(tx: Tx, user_id: UUID, what: str, now: datetime, **detail: Any) -> None:
    await audit.of_person(tx, f"agent.{what}", "agent", user_id, detail, at=now)
