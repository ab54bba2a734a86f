"""What the twin foretold of a campaign: runs of simulated shifts, kept so that a predictive start can ask for one."""

from dataclasses import astuple, dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from crm import audit, errors, events, ids
from crm.db import Tx
from crm.operation import operation


class Source(StrEnum):
    """Where the simulated traffic comes from."""

    history = "history"
    """The campaign's own dial attempts."""
    stated = "stated"
    """Figures somebody stated, or the reference traffic."""


class BadRun(errors.Invalid):
    """This is no outcome of simulated shifts."""

    code = "twin_run.invalid"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What so many simulated shifts came to. Shares are 0 to 1; `abandonment_low` and `_high` bound 95 %."""

    policy: str
    agents: int
    shifts: int
    shift_s: float
    seed: int
    cap: float
    p_break_30d: float
    abandonment: float
    abandonment_low: float
    abandonment_high: float
    occupancy: float
    learned_from: Source
    attempts: int
    """Dial attempts the traffic was learned from; 0 when stated."""


@dataclass(frozen=True, slots=True)
class Run:
    """An outcome that was kept; `made_at` is UTC."""

    id: UUID
    campaign_id: UUID
    made_at: datetime
    outcome: Outcome


FIELDS = ", ".join(Outcome.__dataclass_fields__)

KEEP = f"""
insert into crm.twin_run (tenant_id, id, campaign_id, made_by, made_at, {FIELDS})
values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::timestamptz, $6::text, $7::int, $8::int, $9::float8, $10::bigint,
        $11::float8, $12::float8, $13::float8, $14::float8, $15::float8, $16::float8, $17::text, $18::int)
"""


@operation("twin.keep")
async def keep(tx: Tx, campaign_id: UUID, outcome: Outcome, *, now: datetime) -> UUID:
    """Keep what a campaign's simulated shifts came to; return the run's id.

    :raises BadRun: when a figure is none that shifts can come to; `fields` says which.
    """
    if wrong := _wrong(outcome):
        raise BadRun(fields=wrong)
    run_id, actor = ids.new(), tx.actor
    await tx.execute(KEEP, actor.tenant_id, run_id, campaign_id, actor.user_id, now, *astuple(outcome))
    detail = {"run_id": str(run_id), "policy": outcome.policy, "agents": outcome.agents, "shifts": outcome.shifts}
    await events.record(tx, "dial_campaign", campaign_id, "twin_run.kept", detail, at=now)
    await audit.of_person(tx, "twin_run.kept", "dial_campaign", campaign_id, detail, at=now)
    return run_id


def _wrong(outcome: Outcome) -> dict[str, str]:
    """Return what is wrong with an outcome's figures, by field."""
    shares = ("p_break_30d", "abandonment", "abandonment_low", "abandonment_high", "occupancy")
    wrong = {name: "from 0 to 1" for name in shares if not 0 <= getattr(outcome, name) <= 1}
    wrong |= {name: "above 0" for name in ("agents", "shifts", "shift_s") if not getattr(outcome, name) > 0}
    if not 0 < outcome.cap < 1:
        wrong["cap"] = "between 0 and 1"
    return wrong


async def latest(tx: Tx, campaign_id: UUID, at: datetime, *, policy: str = "predictive") -> Run | None:
    """Return the last run kept of a campaign and a policy up to an instant, or None.

    Of several sizes simulated at one instant it is the one most likely to break the law.
    """
    row = await tx.fetchrow(
        f"select id, made_at, {FIELDS} from crm.twin_run where tenant_id = $1::uuid and campaign_id = $2::uuid"
        " and policy = $4::text and made_at <= $3::timestamptz"
        " order by made_at desc, p_break_30d desc, id desc limit 1",
        tx.actor.tenant_id, campaign_id, at, policy,
    )  # fmt: skip
    if row is None:
        return None
    figures = {**row, "learned_from": Source(row["learned_from"])}
    return Run(figures.pop("id"), campaign_id, figures.pop("made_at"), Outcome(**figures))
