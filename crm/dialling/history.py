"""How a campaign's calls went, as numbers alone: what the twin learns its traffic from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from crm.db import Tx
from crm.dialling.campaigns import CampaignNotFound
from crm.dialling.rules import LIVE, Result

MOST = 20_000
"""Attempts looked at, the latest first."""
BLOCK_S = 600
"""Seconds over which answers are counted together, to see how they come in bursts."""

ATTEMPTS = """
select a.local_hour, a.result, a.answer_p, a.is_abandoned,
       floor(extract(epoch from a.dialed_at) / $4::int)::bigint as block,
       extract(epoch from case when a.result in (select unnest($5::text[])) then coalesce(a.answered_at, a.ended_at)
                               else a.ended_at end - a.dialed_at)::float8 as after_s,
       extract(epoch from a.ended_at - a.answered_at)::float8 as stayed_s,
       k.talk_s, extract(epoch from k.wrap_ended_at - k.wrap_began_at)::float8 as wrap_s
  from crm.dial_attempt a left join crm.call k on k.tenant_id = $1::uuid and k.id = a.call_id
 where a.tenant_id = $1::uuid and a.campaign_id = $2::uuid and a.dialed_at < $3::timestamptz
   and a.result is not null and a.result <> 'blocked_by_policy'
 order by a.dialed_at desc, a.id desc limit $6::int
"""


@dataclass(slots=True)
class History:
    """What came of a campaign's attempts, and how long things took, in seconds. Hours are the called people's own."""

    attempts: int = 0
    tries_by_hour: dict[int, int] = field(default_factory=dict)
    live_by_hour: dict[int, int] = field(default_factory=dict)
    blocks: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Attempts and live answers of each ten minutes."""
    live: int = 0
    machines: int = 0
    failed: int = 0
    no_answers: int = 0
    live_ring: list[float] = field(default_factory=list)
    machine_ring: list[float] = field(default_factory=list)
    failed_after: list[float] = field(default_factory=list)
    no_answer_after: list[float] = field(default_factory=list)
    talk: list[float] = field(default_factory=list)
    wrap: list[float] = field(default_factory=list)
    patience: list[float] = field(default_factory=list)
    """How long those stayed who found no agent."""
    scores: list[float] = field(default_factory=list)
    """The answer probabilities that leads were dialled with."""


async def campaign_named(tx: Tx, name: str) -> UUID:
    """Return a campaign's id by its code, or by the id itself.

    :raises CampaignNotFound: when there is none.
    """
    found: UUID | None = await tx.fetchval(
        "select id from crm.dial_campaign where tenant_id = $1::uuid and (code = $2::text or id::text = $2::text)"
        " order by deleted_at is not null, created_at desc limit 1",
        tx.actor.tenant_id, name,
    )  # fmt: skip
    if found is None:
        raise CampaignNotFound
    return found


async def of_campaign(tx: Tx, campaign_id: UUID, *, now: datetime) -> History:
    """Return how a campaign's last attempts went (at most 20,000), up to an instant."""
    rows = await tx.fetch(ATTEMPTS, tx.actor.tenant_id, campaign_id, now, BLOCK_S, sorted(LIVE), MOST)
    return of_rows(rows)


def of_rows(rows: Sequence[asyncpg.Record]) -> History:
    """Sum attempts up."""
    told = History(attempts=len(rows))
    for row in rows:
        is_live = row["result"] in LIVE
        hour, block = row["local_hour"], row["block"]
        tries, live = told.blocks.get(block, (0, 0))
        told.blocks[block] = (tries + 1, live + is_live)
        told.tries_by_hour[hour] = told.tries_by_hour.get(hour, 0) + 1
        told.live_by_hour[hour] = told.live_by_hour.get(hour, 0) + is_live
        if row["answer_p"] is not None:
            told.scores.append(row["answer_p"])
        if is_live:
            _live(told, row)
        else:
            _other(told, row)
    return told


def _live(told: History, row: asyncpg.Record) -> None:
    told.live += 1
    _keep(told.live_ring, row["after_s"])
    if row["is_abandoned"]:
        _keep(told.patience, row["stayed_s"])
    elif row["talk_s"]:
        _keep(told.talk, row["talk_s"])
        _keep(told.wrap, row["wrap_s"])


def _other(told: History, row: asyncpg.Record) -> None:
    if row["result"] == Result.voicemail:
        told.machines += 1
        _keep(told.machine_ring, row["after_s"])
    elif row["result"] == Result.no_answer:
        told.no_answers += 1
        _keep(told.no_answer_after, row["after_s"])
    else:
        told.failed += 1
        _keep(told.failed_after, row["after_s"])


def _keep(durations: list[float], seconds: float | None) -> None:
    """Keep a duration that was measured; an exchange's clock may put an end before its beginning."""
    if seconds is not None and seconds > 0:
        durations.append(seconds)
