"""A lead with its context (LEAD-8): clocks, what was done last, what to do next; put together at the door, since the
slices that know each of them do not know each other."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from api.schemas.followups import FollowUps, Labelled, LifecycleRead, NextStep, StatusRead, Timer
from crm.db import Tx
from crm.followups import queries as followups
from crm.followups.steps import LABELS, Step
from crm.leads import lifecycle, queries, quotes
from crm.leads.lifecycle import Machine, Names, Needed
from crm.leads.rules import STAGE, TERMINAL, Status
from crm.sla import queries as clocks
from crm.timeline import queries as timelines

TIMERS = 20
"""Clocks that are shown with a lead."""
ACTIONS = 10
"""Previous actions that are shown with a lead; its timeline has them all."""


def next_step(step: Step, language: str) -> NextStep:
    """Return a suggestion in words."""
    labels = LABELS[step.code]
    return NextStep(
        code=step.code,
        label=labels[language],
        labels=labels,
        reason=step.reason,
        because=step.because(language),
        figures=dict(step.figures),
        due_at=step.due_at,
        needs=list(step.needs),
    )


async def read(tx: Tx, lead_id: UUID, *, language: str, now: datetime) -> str:
    """Return a lead with its context as JSON text.

    :raises crm.leads.rows.LeadNotFound: when there is no such lead for the actor.
    """
    lead = await queries.read(tx, lead_id, language=language)
    steps = [next_step(step, language) for step in await followups.next_steps(tx, lead_id, now=now)]
    found = sorted(await clocks.clocks_of(tx, lead_id, now), key=_urgency)
    timers = [Timer.of(clock) for clock in found[:TIMERS]]
    actions = await timelines.of_lead(tx, lead_id, limit=ACTIONS)
    context = (
        f'"timers":[{_joined(timers)}],"previous_actions":[{",".join(actions.items)}],"next_steps":[{_joined(steps)}]'
    )
    return f"{lead.rstrip()[:-1]},{context}}}"


def _urgency(clock: Mapping[str, Any]) -> tuple[bool, bool, datetime]:
    """Sort what is open before what has ended, what is due first before what is due later or not at all now."""
    due = clock["due_at"]
    return clock["ended_at"] is not None, due is None, due or clock["started_at"]


def _joined(models: Iterable[BaseModel]) -> str:
    return ",".join(each.model_dump_json() for each in models)


async def parsed(tx: Tx, lead_id: UUID, *, language: str, now: datetime) -> Any:
    """Return the same parsed, for answers that are kept."""
    return json.loads(await read(tx, lead_id, language=language, now=now))


async def follow_ups(tx: Tx, lead_id: UUID, *, now: datetime) -> FollowUps:
    """Return all that belongs to the sale of a lead.

    :raises crm.leads.rows.LeadNotFound: when there is no such lead for the actor.
    """
    await queries.require_visible(tx, lead_id)
    found: dict[str, Any] = {
        "quotes": [dict(row) for row in await quotes.of_lead(tx, lead_id, now=now)],
        "sales": [dict(row) for row in await followups.sales(tx, lead_id)],
        "procedure": await followups.procedure(tx, lead_id),
        "check_ins": [dict(row) for row in await followups.check_ins(tx, lead_id)],
    }
    found["procedure"] = found["procedure"] and dict(found["procedure"])
    return FollowUps.model_validate(found)


def machine(of: Machine, procedure_types: Mapping[str, Names], language: str) -> LifecycleRead:
    """Return a status machine and its catalogues in words."""
    return LifecycleRead(
        items=[
            StatusRead(
                code=status,
                label=of.labels[status].by(language),
                labels=of.labels[status].model_dump(),
                stage=STAGE[status],
                is_terminal=status in TERMINAL,
                by=_reached_by(status),
                followed_by=[each for each in Status if of.may_become(status, each)],
                required=[each for each in Needed if each in of.required[status]],
            )
            for status in Status
        ],
        loss_reasons=_labelled(of.loss_reasons, language),
        procedure_types=_labelled(procedure_types, language),
    )


def _reached_by(status: Status) -> Literal["hand", "assignment", "intake"]:
    if status is Status.new:
        return "intake"
    return "assignment" if status is lifecycle.BY_ASSIGNMENT else "hand"


def _labelled(names: Mapping[str, Names], language: str) -> list[Labelled]:
    return [Labelled(code=code, label=name.by(language), labels=name.model_dump()) for code, name in names.items()]
