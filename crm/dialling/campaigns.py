"""Making, changing, starting and stopping dialling campaigns."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, codes, errors, events, ids, tenant_settings
from crm.db import Tx
from crm.dialling import designs, twins
from crm.dialling.designs import FIELDS, TYPES, Design
from crm.dialling.rules import MAY_BECOME, Mode, Status
from crm.operation import operation
from crm.queues import settings as queues

BREAKS_AT_MOST = 0.01
"""The chance of breaking the cap within 30 days, as the twin foretells it, below which a campaign goes predictive."""
TWIN_GOOD_FOR = timedelta(days=30)
"""How old what the twin foretold may be: lists and agents change."""


class CampaignNotFound(errors.NotFound):
    """There is no such dialling campaign."""

    code = "dial_campaign.not_found"


class BadDesign(errors.Invalid):
    """This campaign cannot dial as designed."""

    code = "dial_campaign.invalid"


class CodeTaken(errors.Conflict):
    """A dialling campaign of this code exists already."""

    code = "dial_campaign.code_taken"


class BadStep(errors.Conflict):
    """A campaign does not come from where it is to there."""

    code = "dial_campaign.step"


class StillDialling(errors.Conflict):
    """A campaign that dials is drained or stopped before it is changed this way."""

    code = "dial_campaign.busy"


class NotForetold(errors.Conflict):
    """A campaign dials predictively once simulated shifts foretell that it keeps the cap, or a manager overrides."""

    code = "dial_campaign.not_foretold"


WHILE_RUNNING = frozenset(
    {
        "name", "cap", "ring_s", "power_ratio", "calls_per_s", "most_lines", "windows", "retry", "lock_out_h",
        "preview_s", "caller_id",
    }
)  # fmt: skip
"""What may be changed while it runs; what decides whom it dials and what they hear may not."""


async def get(tx: Tx, campaign_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """Return a campaign's row, locked until the transaction ends if asked.

    :raises CampaignNotFound: when there is no such campaign.
    """
    row = await tx.fetchrow(
        "select * from crm.dial_campaign where tenant_id = $1::uuid and id = $2::uuid and deleted_at is null"
        + (" for update" if lock else ""),
        tx.actor.tenant_id, campaign_id,
    )  # fmt: skip
    if row is None:
        raise CampaignNotFound
    return row


@operation("dialling.manage")
async def create(tx: Tx, *, code: str, design: Design, now: datetime) -> UUID:
    """Design a campaign and return its id; it is a draft until it is started.

    :raises CodeTaken: when there is one of that code.
    :raises BadDesign: when it cannot dial so; `fields` says why.
    """
    codes.require(code=code)
    await _require_sound(tx, design, now=now)
    campaign_id, columns = ids.new(), ", ".join(FIELDS)
    values = ", ".join(f"${n}::{TYPES.get(name, 'text')}" for n, name in enumerate(FIELDS, start=6))
    made = await tx.fetchval(
        f"insert into crm.dial_campaign (tenant_id, id, code, created_by, created_at, updated_at, status_at, {columns})"
        f" values ($1::uuid, $2::uuid, $3::text, $4::uuid, $5::timestamptz, $5::timestamptz, $5::timestamptz, {values})"
        " on conflict (tenant_id, code) where deleted_at is null do nothing returning true",
        tx.actor.tenant_id, campaign_id, code, tx.actor.user_id, now, *designs.values_of(design),
    )  # fmt: skip
    if not made:
        raise CodeTaken(fields={"code": "in use"})
    await _note(tx, campaign_id, "created", now, code=code, mode=design.mode.value, queue=design.queue)
    return campaign_id


@operation("dialling.manage")
async def change(tx: Tx, campaign_id: UUID, design: Design, *, now: datetime) -> None:
    """Replace a campaign's design; calls under way go on as they began.

    :raises CampaignNotFound: when there is none.
    :raises StillDialling: when it runs, and more changes than `WHILE_RUNNING`.
    :raises BadDesign: when it cannot dial so; `fields` says why.
    """
    row = await get(tx, campaign_id, lock=True)
    before = designs.of_row(row)
    changed = [name for name in FIELDS if getattr(before, name) != getattr(design, name)]
    if not changed:
        tx.unchanged()
        return
    if row["status"] in (Status.running, Status.draining) and (fixed := set(changed) - WHILE_RUNNING):
        raise StillDialling(fields=dict.fromkeys(sorted(fixed), "only while it is paused or stopped"))
    await _require_sound(tx, design, now=now)
    columns = ", ".join(f"{name} = ${n}::{TYPES.get(name, 'text')}" for n, name in enumerate(FIELDS, start=4))
    await tx.execute(
        f"update crm.dial_campaign set updated_at = $3::timestamptz, {columns}"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, campaign_id, now, *designs.values_of(design),
    )  # fmt: skip
    await _note(tx, campaign_id, "updated", now, fields=changed)


@operation("dialling.manage")
async def delete(tx: Tx, campaign_id: UUID, *, now: datetime) -> None:
    """Delete a campaign: its hopper is emptied, its attempts stay, as every figure does.

    :raises CampaignNotFound: when there is none.
    :raises StillDialling: when it has not been stopped.
    """
    row = await get(tx, campaign_id, lock=True)
    if row["status"] not in (Status.draft, Status.stopped):
        raise StillDialling
    key = (tx.actor.tenant_id, campaign_id)
    await tx.execute("delete from crm.dial_entry where tenant_id = $1::uuid and campaign_id = $2::uuid", *key)
    await tx.execute(
        "update crm.dial_campaign set deleted_at = $3::timestamptz, updated_at = $3::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        *key, now,
    )  # fmt: skip
    await _note(tx, campaign_id, "deleted", now)


@operation("dialling.manage")
async def start(tx: Tx, campaign_id: UUID, *, override: str | None = None, now: datetime) -> None:
    """Let a campaign dial, for the first time or again; one that runs goes on.

    `override`: the reason (a code) for which it dials predictively though nothing foretells that it keeps the cap.

    :raises CampaignNotFound: when there is none.
    :raises BadDesign: when its queue is gone meanwhile.
    :raises NotForetold: when it is predictive, and the twin's last run is missing, too old, or foretells too much.
    :raises crm.actor.Forbidden: when the actor may not override.
    """
    row = await get(tx, campaign_id, lock=True)
    if row["status"] == Status.running:
        tx.unchanged()
        return
    design = designs.of_row(row)
    await _require_sound(tx, design, now=now)
    told: dict[str, Any] = {"mode": design.mode.value}
    if design.mode is Mode.predictive:
        told |= await _may_foresee(tx, campaign_id, design, override, now=now)
    await _move(tx, row, Status.running, now=now)
    await tx.execute(
        "update crm.dial_campaign set started_at = coalesce(started_at, $3::timestamptz), override_reason = $4::text,"
        " overridden_by = $5::uuid, overridden_at = $6::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, campaign_id, now, told.get("override"),
        tx.actor.user_id if "override" in told else None, now if "override" in told else None,
    )  # fmt: skip
    await _note(tx, campaign_id, "started", now, **told)


async def _may_foresee(
    tx: Tx, campaign_id: UUID, design: Design, override: str | None, *, now: datetime
) -> dict[str, Any]:
    """Return what a predictive start rests on: the twin's run, or the override of whoever may."""
    run = await twins.latest(tx, campaign_id, now)
    fits = run is not None and run.made_at > now - TWIN_GOOD_FOR and run.outcome.cap <= design.cap + 1e-9
    if run is not None and fits and run.outcome.p_break_30d < BREAKS_AT_MOST:
        return {"twin_run_id": run.id}
    if override is None:
        raise NotForetold(fields={"mode": _why_not(run, fits=fits, cap=design.cap)})
    codes.require(override=override)
    tx.actor.require("dialling.override")
    return {"override": override, "twin_run_id": run and run.id}


def _why_not(run: twins.Run | None, *, fits: bool, cap: float) -> str:
    if run is None:
        return "no shifts of this campaign were simulated: santral twin --from-history CAMPAIGN"
    if not fits:
        return f"its simulated shifts are over {TWIN_GOOD_FOR.days} days old, or had a higher cap than {cap:g}"
    return f"simulated shifts break the cap in 30 days with a chance of {run.outcome.p_break_30d:.1%}"


@operation("dialling.manage")
async def pause(tx: Tx, campaign_id: UUID, *, reason: str, now: datetime) -> None:
    """Let nothing more be dialled until it is started again; calls under way go on. `reason` is a code."""
    await _set(tx, campaign_id, Status.paused, "paused", reason=reason, now=now)


@operation("dialling.manage")
async def stop(tx: Tx, campaign_id: UUID, *, reason: str, now: datetime) -> None:
    """Let nothing more be dialled and empty what was taken into the hopper; calls under way go on."""
    await _set(tx, campaign_id, Status.stopped, "stopped", reason=reason, now=now)


@operation("dialling.manage")
async def drain(tx: Tx, campaign_id: UUID, *, reason: str, now: datetime) -> None:
    """Let nothing more be dialled; once the last call under way has ended, it is stopped by itself."""
    await _set(tx, campaign_id, Status.draining, "draining", reason=reason, now=now)


OPEN = "select exists (select from crm.dial_attempt where tenant_id = $1::uuid and campaign_id = $2::uuid"
OPEN += " and resolved_at is null)"


@operation("dialling.run")
async def end_draining(tx: Tx, campaign_id: UUID, *, now: datetime) -> None:
    """Stop a draining campaign whose last call has ended; otherwise change nothing."""
    row = await get(tx, campaign_id, lock=True)
    if row["status"] != Status.draining or await tx.fetchval(OPEN, tx.actor.tenant_id, campaign_id):
        tx.unchanged()
        return
    await _move(tx, row, Status.stopped, reason="drained", now=now)
    await _release(tx, campaign_id, now=now)
    await _note(tx, campaign_id, "stopped", now, reason="drained")


async def _set(tx: Tx, campaign_id: UUID, to: Status, happened: str, *, reason: str, now: datetime) -> None:
    codes.require(reason=reason)
    row = await get(tx, campaign_id, lock=True)
    if row["status"] == to:
        tx.unchanged()
        return
    await _move(tx, row, to, reason=reason, now=now)
    await _release(tx, campaign_id, now=now)
    await _note(tx, campaign_id, happened, now, reason=reason)


async def _move(tx: Tx, row: Mapping[str, Any], to: Status, *, reason: str | None = None, now: datetime) -> None:
    if to not in MAY_BECOME[Status(row["status"])]:
        raise BadStep(f"a campaign that is {row['status']} does not become {to}", fields={"status": row["status"]})
    await tx.execute(
        "update crm.dial_campaign set status = $3::text, status_at = $4::timestamptz, status_reason = $5::text,"
        " updated_at = $4::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, row["id"], to.value, now, reason,
    )  # fmt: skip


async def _release(tx: Tx, campaign_id: UUID, *, now: datetime) -> None:
    """Give back what was taken into the hopper and not yet asked of the exchange."""
    await tx.execute(
        "update crm.dial_entry set state = 'listed', claimed_by = null, claimed_until = null, agent_user_id = null,"
        " updated_at = $3::timestamptz where tenant_id = $1::uuid and campaign_id = $2::uuid"
        " and state in ('ready', 'claimed')",
        tx.actor.tenant_id, campaign_id, now,
    )  # fmt: skip


async def _require_sound(tx: Tx, design: Design, *, now: datetime) -> None:
    wrong = designs.wrong_with(design)
    if design.queue is not None and await queues.of(tx, design.queue, at=now) is None:
        wrong["queue"] = "no such queue"
    if design.team_id is not None and not await tx.fetchval(
        "select true from crm.team where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, design.team_id
    ):
        wrong["team_id"] = "no such team"
    own = await tenant_settings.value(tx, designs.CALLER_IDS, at=now)
    if own and design.caller_id not in (None, *own):
        wrong.setdefault("caller_id", f"one of the firm's own, as {designs.CALLER_IDS.key} names them")
    if wrong:
        raise BadDesign(fields=wrong)


async def _note(tx: Tx, campaign_id: UUID, happened: str, now: datetime, **detail: Any) -> None:
    """Write the event of a campaign and, of what a person did, the audit row."""
    await events.record(tx, "dial_campaign", campaign_id, f"dial_campaign.{happened}", detail, at=now)
    await audit.of_person(tx, f"dial_campaign.{happened}", "dial_campaign", campaign_id, detail, at=now)
