"""What came of attempts: read off their calls, once; the lead's next try follows, and the guard's counts.

It is worked out from how calls stand, not from what was heard of them: whoever looks twice, or late, changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg

from crm.calls.facts import Verdict
from crm.calls.known import Direction
from crm.calls.steps import Status as CallStatus
from crm.calls.story import Outcome
from crm.consent.rules import Answer, Reason
from crm.db import Tx, to_json
from crm.dialling import attempts, budgets, designs, hopper, learning, rules, timing
from crm.dialling.designs import Design
from crm.dialling.hopper import LATER, zone_of
from crm.dialling.rules import LIVE, Ending, Result, State
from crm.dialling.timing import Learned, Prospect
from crm.operation import operation

BATCH = 100
CONSENT = "consent."
"""How the failure of a call begins that was refused when its number was to be taken from the vault."""

OPEN = """
select a.id, a.campaign_id, a.entry_id, a.lead_id, a.contact_id, a.call_id, a.agent_user_id, a.dialed_at,
       a.is_abandoned, a.connected_at as noted_at, k.status, k.outcome, k.verdict, k.direction, k.failure,
       k.started_at, k.answered_at, k.connected_at, k.ended_at, k.ring_s, k.detects_machines, k.steps, c.country,
       c.phone_masked, t.timezone, l.source
  from crm.dial_attempt a
  join crm.call k on k.tenant_id = $1::uuid and k.id = a.call_id
  join crm.lead l on l.tenant_id = $1::uuid and l.id = a.lead_id
  join crm.contact c on c.tenant_id = $1::uuid and c.id = a.contact_id
  join crm.tenant t on t.tenant_id = $1::uuid
 where a.tenant_id = $1::uuid and a.resolved_at is null
   and (k.ended_at is not null or (k.connected_at is not null and a.connected_at is null))
 order by a.id limit $2::int for update of a skip locked
"""


@operation("dialling.run")
async def settle(tx: Tx, learned: Learned, *, at_most: int = BATCH, now: datetime) -> int:
    """Note, for attempts whose calls were connected or have ended, that they were and what came of them.

    :returns: how many there were; at most `at_most` at once.
    """
    rows = await tx.fetch(OPEN, tx.actor.tenant_id, at_most)
    for row in rows:
        if row["connected_at"] is not None and row["noted_at"] is None:
            await _connect(tx, row)
        if row["ended_at"] is not None:
            await _end(tx, row, learned, now=now)
    if not rows:
        tx.unchanged()
    return len(rows)


def connect_delay(call: Mapping[str, Any]) -> float | None:
    """Return the seconds from a call's greeting to its agent; None: there never was one.

    The greeting is the answer, or what machine detection took for its end, when the call went on to the queue.
    """
    if call["connected_at"] is None or call["answered_at"] is None:
        return None
    waited: timedelta = call["connected_at"] - (greeted_at(call) or call["answered_at"])
    return max(0.0, waited.total_seconds())


def greeted_at(call: Mapping[str, Any]) -> datetime | None:
    """Return from when on an answered person waits for an agent; None: not yet."""
    if not call["detects_machines"]:
        return call["answered_at"]  # type: ignore[no-any-return]
    queued = (step["at"] for step in call["steps"] if step["status"] == CallStatus.queued)
    first = next(queued, None)
    return datetime.fromisoformat(first) if first else None


def ending_of(call: Mapping[str, Any]) -> Ending:
    """Return how a call (its row) that has ended did so for its campaign."""
    return rules.ending_of(
        Outcome(call["outcome"]), has_begun=call["started_at"] is not None,
        is_answered=call["answered_at"] is not None, is_connected=call["connected_at"] is not None,
        verdict=call["verdict"] and Verdict(call["verdict"]),
        agent_first=call["direction"] == Direction.agent_first,
    )  # fmt: skip


async def _connect(tx: Tx, row: asyncpg.Record) -> None:
    delay = connect_delay(row)
    attempt = await tx.fetchrow(
        "update crm.dial_attempt set answered_at = $3::timestamptz, connected_at = $4::timestamptz,"
        " connect_delay_s = $5::float8 where tenant_id = $1::uuid and id = $2::uuid returning *",
        tx.actor.tenant_id, row["id"], row["answered_at"], row["connected_at"], delay,
    )  # fmt: skip
    assert attempt is not None, "it is locked"
    await attempts.tell(tx, attempt, "connected", **_heard(row), now=row["connected_at"])


def _heard(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an attempt's call adds to its event: what machine detection said, and whose telephone rang first."""
    return {"verdict": row["verdict"], "agent_first": row["direction"] == Direction.agent_first}


async def _end(tx: Tx, row: asyncpg.Record, learned: Learned, *, now: datetime) -> None:
    entry, campaign = await _locked(tx, row)
    if row["status"] == CallStatus.denied:
        await _refused(tx, row, entry, now=now)
        return
    agent_first = row["direction"] == Direction.agent_first
    ending = ending_of(row)
    delay, result = connect_delay(row), rules.RESULT_OF[ending]
    abandoned = row["is_abandoned"] or rules.was_abandoned(ending, delay, agent_first=agent_first)
    attempt = await tx.fetchrow(
        "update crm.dial_attempt set result = $3::text, reason = $4::text, answered_at = $5::timestamptz,"
        " ended_at = $6::timestamptz, ring_s = $7::float8, is_abandoned = $8::boolean, resolved_at = $9::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid returning *",
        tx.actor.tenant_id, row["id"], result and result.value, ending.value, row["answered_at"], row["ended_at"],
        row["ring_s"], abandoned, now,
    )  # fmt: skip
    is_live = result in LIVE and not agent_first
    await budgets.add(
        tx, row["campaign_id"], row["dialed_at"], answered=int(is_live), abandoned=int(abandoned),
        attempts=-int(result is None),
    )  # fmt: skip
    if entry is not None and campaign is not None:
        await _again(tx, row, entry, designs.of_row(campaign), ending, learned, now=now)
    assert attempt is not None, "it is locked"
    await attempts.tell(tx, attempt, "ended", ending=ending.value, **_heard(row), now=row["ended_at"])


async def _locked(tx: Tx, row: asyncpg.Record) -> tuple[asyncpg.Record | None, asyncpg.Record | None]:
    """Return the attempt's entry, locked, and its campaign; None: deleted meanwhile, or dialled again since."""
    entry = await tx.fetchrow(
        "select * from crm.dial_entry where tenant_id = $1::uuid and id = $2::uuid and state = 'dialling'"
        " and call_id = $3::uuid for update",
        tx.actor.tenant_id, row["entry_id"], row["call_id"],
    )  # fmt: skip
    campaign = await tx.fetchrow(
        "select * from crm.dial_campaign where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, row["campaign_id"],
    )  # fmt: skip
    return entry, campaign


async def _refused(tx: Tx, row: asyncpg.Record, entry: asyncpg.Record | None, *, now: datetime) -> None:
    """Note that nobody was called after all: the person, or the hour, forbade it at the very last."""
    reason = (row["failure"] or "").removeprefix(CONSENT)
    attempt = await tx.fetchrow(
        "update crm.dial_attempt set result = 'blocked_by_policy', reason = $3::text, ended_at = $4::timestamptz,"
        " resolved_at = $5::timestamptz where tenant_id = $1::uuid and id = $2::uuid returning *",
        tx.actor.tenant_id, row["id"], reason, row["ended_at"], now,
    )  # fmt: skip
    await budgets.add(tx, row["campaign_id"], row["dialed_at"], attempts=-1, blocked=1)
    if entry is not None:
        stop = hopper.stop_of(Answer(Reason(reason)), now=now) or (State.listed, reason, now + LATER)
        tried = max(0, entry["attempts"] - 1)
        await _put(tx, entry, *stop, counts=_counts(entry), last=Result.blocked_by_policy, attempts=tried, now=now)
    assert attempt is not None, "it is locked"
    await attempts.tell(tx, attempt, "blocked", **_heard(row), now=now)


async def _again(
    tx: Tx, row: asyncpg.Record, entry: asyncpg.Record, design: Design, ending: Ending, learned: Learned, *,
    now: datetime,
) -> None:  # fmt: skip
    """Plan a lead's next try, or be done with it."""
    counts, result = _counts(entry), rules.RESULT_OF[ending]
    counts[ending] += 1
    tried = entry["attempts"] - int(result is None)
    follows = rules.next_try(design.retry, ending, counts, lock_out=design.lock_out)
    state, until = State.done, None
    locked = row["ended_at"] + design.lock_out if ending is Ending.abandoned else None
    if follows.wait is not None:
        state, until = State.listed, await _when(tx, row, design, follows.wait, tried, learned, now=now)
    await _put(
        tx, entry, state, follows.reason, until, counts=counts, last=result, attempts=tried, locked=locked, now=now
    )  # fmt: skip


async def _when(
    tx: Tx, row: asyncpg.Record, design: Design, wait: timedelta, tried: int, learned: Learned, *, now: datetime
) -> datetime:
    """Return when a lead is tried again: after its wait, in an hour in which it is likely to answer."""
    since = row["ended_at"] + wait
    own = (await learning.tries_of(tx, [row["lead_id"]], now=now)).get(row["lead_id"], {})
    prospect = Prospect(row["source"], tried, own)
    found = timing.next_at(learned, prospect, since, open_in=design.opening, zone=zone_of(row))
    return found or since + LATER


def _counts(entry: Mapping[str, Any]) -> Counter[str]:
    return Counter(entry["counts"])


PUT = """
update crm.dial_entry
   set state = $3::text, reason = $4::text, next_at = coalesce($5::timestamptz, next_at), counts = $6::jsonb,
       last_result = $7::text, attempts = $8::int, locked_until = coalesce($9::timestamptz, locked_until),
       call_id = null, agent_user_id = null, updated_at = $10::timestamptz
 where tenant_id = $1::uuid and id = $2::uuid
"""


async def _put(
    tx: Tx, entry: asyncpg.Record, state: State, reason: str | None, until: datetime | None, *,
    counts: Mapping[str, int], last: Result | None, attempts: int, locked: datetime | None = None, now: datetime,
) -> None:  # fmt: skip
    await tx.execute(
        PUT, tx.actor.tenant_id, entry["id"], state.value, reason, until, to_json(dict(counts)), last and last.value,
        attempts, locked, now,
    )  # fmt: skip


PARTY: Mapping[str, Result] = MappingProxyType(
    {"right": Result.live_right_party, "wrong": Result.live_wrong_party, "machine": Result.voicemail}
)
"""Who, or what, answered, by the catalogue's word for an agent's disposition; some dispositions say nothing of it."""

DISPOSED = """
select a.id, a.campaign_id, a.dialed_at, a.is_abandoned, k.disposition_party, k.direction, k.verdict
  from crm.dial_attempt a
  join crm.call k on k.tenant_id = $1::uuid and k.id = a.call_id
 where a.tenant_id = $1::uuid and a.result = 'live_unknown' and k.disposition_party is not null
   and (a.call_id in (select unnest($2::uuid[])) or ($2::uuid[] is null and a.dialed_at > $3::timestamptz))
 order by a.id limit 500 for update of a skip locked
"""
MISSED = timedelta(days=2)
"""How far back attempts are looked for whose disposition nobody told us of."""


@operation("dialling.run")
async def confirm(tx: Tx, call_ids: Iterable[UUID] | None, *, now: datetime) -> int:
    """Take over what agents said of who answered, of some calls or (None) of all lately; return how many there were.

    What an agent calls a machine was no live answer: it leaves the guard's counts, too.
    """
    wanted = None if call_ids is None else list(call_ids)
    rows = await tx.fetch(DISPOSED, tx.actor.tenant_id, wanted, now - MISSED)
    for row in rows:
        result = PARTY[row["disposition_party"]]
        is_machine = result is Result.voicemail
        attempt = await tx.fetchrow(
            "update crm.dial_attempt set result = $3::text, is_abandoned = is_abandoned and not $4::boolean"
            " where tenant_id = $1::uuid and id = $2::uuid returning *",
            tx.actor.tenant_id, row["id"], result.value, is_machine,
        )  # fmt: skip
        if is_machine and row["direction"] != Direction.agent_first:
            gone = {"answered": -1, "abandoned": -int(row["is_abandoned"])}
            await budgets.add(tx, row["campaign_id"], row["dialed_at"], **gone)
        assert attempt is not None, "it is locked"
        await attempts.tell(tx, attempt, "confirmed", **_heard(row), now=now)
    if not rows:
        tx.unchanged()
    return len(rows)
