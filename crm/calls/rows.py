"""A call's row: what of it is told in events, and what of its story is stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import errors
from crm.calls.steps import AFTER_TALK, Status, Step
from crm.calls.story import Outcome, Story
from crm.db import Tx, to_json

TOLD = (
    "lead_id", "contact_id", "agent_user_id", "campaign_id", "callback_id", "queue", "direction", "purpose", "outcome",
    "failure", "cause", "verdict", "requested_at", "started_at", "answered_at", "connected_at", "ended_at", "ring_s",
    "talk_s", "held_s",
)  # fmt: skip
"""What every event of a call holds of it; those from its end on hold its legs as well (`crm.calls.telling`)."""

FAILURES = {
    Outcome.machine: "customer.machine",
    Outcome.busy: "customer.busy",
    Outcome.no_answer: "customer.no_answer",
    Outcome.rejected: "customer.rejected",
    Outcome.congestion: "network.congestion",
    Outcome.invalid: "number.invalid",
    Outcome.cancelled: "call.cancelled",
    Outcome.agent_no_answer: "agent.no_answer",
    Outcome.abandoned: "customer.abandoned",
    Outcome.dropped: "queue.dropped",
    Outcome.failed: "exchange.failed",
    Outcome.unknown: "exchange.unheard",
}
"""Why a call led to no conversation, for people and programs, by its outcome."""


class CallNotFound(errors.NotFound):
    """There is no such call, or it is not yours to see."""

    code = "call.not_found"


LOCK = """
select c.* from unnest($2::uuid[]) as wanted(id)
  cross join lateral (
    select * from crm.call where tenant_id = $1::uuid and id = wanted.id order by id for update) c
"""


async def lock_many(tx: Tx, call_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """Return the rows of those calls that there are, locked in the order of their ids."""
    rows = await tx.fetch(LOCK, tx.actor.tenant_id, sorted(call_ids))
    return {row["id"]: row for row in rows}


async def lock(tx: Tx, call_id: UUID) -> asyncpg.Record:
    """Return a call's row, locked until the transaction ends.

    :raises CallNotFound: when there is no such call.
    """
    rows = await lock_many(tx, [call_id])
    if call_id not in rows:
        raise CallNotFound
    return rows[call_id]


def payload(row: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return what an event of a call holds."""
    return {name: row[name] for name in TOLD} | more


def steps_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the statuses a call has gone through, as they are stored."""
    return list(row["steps"])


def retold(row: Mapping[str, Any], told: Sequence[Step]) -> list[dict[str, Any]]:
    """Return a row's steps with the exchange's part as it is told now; what came before and after it stays."""
    stored = steps_of(row)
    before = [step for step in stored if step["status"] in BEFORE]
    after = [step for step in stored if step["status"] in AFTER_TALK]
    return [*before, *({"status": step.status.value, "at": step.at.isoformat()} for step in told), *after]


BEFORE = frozenset({Status.requested, Status.denied, Status.checked, Status.originating})

UPDATE = """
update crm.call
   set status = $3::text, outcome = $4::text, failure = $5::text, cause = $6::int, verdict = $7::text,
       started_at = $8::timestamptz, answered_at = $9::timestamptz, connected_at = $10::timestamptz,
       ended_at = $11::timestamptz, ring_s = $12::float8, talk_s = $13::float8, held_s = $14::float8,
       agent_user_id = $15::uuid, queue = $16::text, steps = $17::jsonb, updated_at = $18::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""


def status_now(row: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the status of a call with these steps: the last, and what people wrote down comes last."""
    return str(steps[-1]["status"]) if steps else str(row["status"])


def changed(row: Mapping[str, Any], story: Story, told: Sequence[Step], **of: Any) -> dict[str, Any]:
    """Return the columns of a call as its story gives them now. `of`: the agent and the queue, where one is known."""
    steps = retold(row, told)
    return {
        "status": status_now(row, steps), "outcome": story.outcome.value,
        "failure": None if story.outcome in (Outcome.open, Outcome.answered) else FAILURES[story.outcome],
        "cause": story.cause, "verdict": story.verdict and story.verdict.value, "started_at": story.started_at,
        "answered_at": story.answered_at, "connected_at": story.connected_at, "ended_at": story.ended_at,
        "ring_s": story.ring_s, "talk_s": story.talk_s, "held_s": story.held_s,
        "agent_user_id": of.get("agent_user_id") or row["agent_user_id"], "queue": of.get("queue") or row["queue"],
        "steps": steps,
    }  # fmt: skip


async def write(tx: Tx, rows: Sequence[tuple[UUID, Mapping[str, Any]]], *, now: datetime) -> None:
    """Store the columns that `changed` gave."""
    await tx.executemany(
        UPDATE,
        [
            (tx.actor.tenant_id, call_id, *[of[name] for name in of if name != "steps"], to_json(of["steps"]), now)
            for call_id, of in rows
        ],
    )
