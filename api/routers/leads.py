"""Leads: enquiries, in lists and one by one, and everything that happens to them."""

import hashlib
import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import lead_detail, pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import REPLAYED, create, idempotency_of
from api.language import Language
from api.schemas import Listing
from api.schemas.followups import LeadDetail, LifecycleRead
from api.schemas.leads import (
    ActivityCreate,
    Assign,
    AssignmentRead,
    LeadCreate,
    LeadStored,
    LeadUpdate,
    Made,
    Named,
    StatusChange,
    StatusInterval,
    TimelinePage,
)  # fmt: skip
from api.schemas.timeline import TimelineQuery
from crm import db, tenant_settings
from crm.db import Tx
from crm.leads import intake, lifecycle, operations, procedures, queries
from crm.leads.intake import NewLead
from crm.leads.lifecycle import Machine
from crm.timeline import queries as timelines
from crm.users import queries as users

router = Router("/leads")

VIEW = ("lead.view.own", "lead.view.team", "lead.view.all")
STORED_ALREADY = {200: {"model": LeadStored, "description": "Your external_id is stored already; nothing was written."}}


def new_lead(body: LeadCreate) -> NewLead:
    """Return a body as the business takes it; its own hash tells whether a repeated external id says the same."""
    fields = body.model_dump(exclude={"consents"}, exclude_none=True)
    content = hashlib.sha256(body.model_dump_json().encode()).digest() if body.external_id else None
    consents = [intake.Consent(each.channel, each.status, each.evidence) for each in body.consents]
    return NewLead(**fields, consents=consents, content_hash=content)


@router.post("", status_code=201, response_model=LeadStored, responses=STORED_ALREADY)
@permission("lead.create")
async def create_lead(
    request: Request, body: LeadCreate, actor: CurrentActor, now: Now, key: IdempotencyKey = None
) -> Response:
    """Store an enquiry; it is distributed a moment later."""
    lead, repeatable = new_lead(body), idempotency_of(request, key, body)

    async def work(tx: Tx) -> intake.Stored:
        if body.team_id:
            await users.team(tx, body.team_id)
        return await intake.create(tx, lead, now=now, idempotency=repeatable)

    stored = await db.run(actor, work)
    is_replay = stored.outcome == "replayed"
    outcome = json.loads(stored.response)["outcome"] if is_replay else stored.outcome
    status = 201 if outcome in ("created", "merged") else 200
    return pages.of_json(stored.response, status, REPLAYED if is_replay else None)


@router.get("/statuses")
@permission(*VIEW)
async def list_statuses(actor: CurrentActor, now: Now, language: Language) -> LifecycleRead:
    """Return the firm's status machine: labels, stages, what may follow, what each status asks for, and the catalogues
    of reasons and procedures."""

    async def work(tx: Tx) -> LifecycleRead:
        types = await tenant_settings.value(tx, procedures.TYPES, at=now)
        return lead_detail.machine(await lifecycle.of(tx, at=now), types, language)

    return await db.run(actor, work)


@router.get("/{lead_id}", response_model=LeadDetail)
@permission(*VIEW)
async def read_lead(lead_id: UUID, actor: CurrentActor, now: Now, language: Language) -> Response:
    """Return one lead with its clocks, what was done last, and what to do next and why."""
    return pages.of_json(await db.run(actor, lambda tx: lead_detail.read(tx, lead_id, language=language, now=now)))


async def _changed(actor: CurrentActor, lead_id: UUID, now: Now, language: Language, work: Any) -> Response:
    """Run a change and answer with the lead as it is then, from the same transaction."""

    async def both(tx: Tx) -> str:
        await work(tx)
        return await lead_detail.read(tx, lead_id, language=language, now=now)

    return pages.of_json(await db.run(actor, both))


@router.patch("/{lead_id}", response_model=LeadDetail)
@permission("lead.edit")
async def update_lead(lead_id: UUID, body: LeadUpdate, actor: CurrentActor, now: Now, language: Language) -> Response:
    """Change tags, answers, geography or keyword, and add a note."""
    changes = body.model_dump(exclude_unset=True, exclude={"note"})
    return await _changed(
        actor, lead_id, now, language, lambda tx: operations.update(tx, lead_id, changes, note=body.note, now=now)
    )


@router.post("/{lead_id}/status", response_model=LeadDetail)
@permission("lead.status")
async def change_status(
    lead_id: UUID, body: StatusChange, actor: CurrentActor, now: Now, language: Language
) -> Response:
    """Move a lead to another status; the one it has changes nothing."""
    return await _changed(
        actor,
        lead_id,
        now,
        language,
        lambda tx: operations.change_status(tx, lead_id, body.status, reason=body.reason, note=body.note, now=now),
    )


@router.post("/{lead_id}/assign", status_code=204)
@permission("lead.reassign")
async def assign(lead_id: UUID, body: Assign, actor: CurrentActor, now: Now) -> Response:
    """Give a lead to a person or a team; afterwards it may be out of one's own sight."""
    await db.run(
        actor,
        lambda tx: operations.assign(tx, lead_id, body.user_id, team_id=body.team_id, reason=body.reason, now=now),
    )
    return Response(status_code=204)


@router.post("/{lead_id}/activities", status_code=201, response_model=Made)
@permission("activity.create")
async def record_activity(
    request: Request, lead_id: UUID, body: ActivityCreate, now: Now, key: IdempotencyKey = None
) -> Response:
    """Record a call, a message, a meeting or a note."""

    async def work(tx: Tx) -> dict[str, UUID]:
        activity_id = await operations.record_activity(
            tx,
            lead_id,
            body.channel,
            body.direction,
            body.outcome,
            note=body.note,
            occurred_at=body.occurred_at,
            now=now,
        )
        return {"id": activity_id}

    return await create(request, key, body, work, answer=Made)


@router.get("/{lead_id}/timeline", response_model=TimelinePage)
@permission(*VIEW)
async def read_timeline(lead_id: UUID, wanted: Annotated[TimelineQuery, Query()], actor: CurrentActor) -> Response:
    """Return what happened to a lead, the newest first."""

    async def work(tx: Tx) -> Any:
        await queries.require_visible(tx, lead_id)
        return await timelines.of_lead(tx, lead_id, filters=wanted.filters, limit=wanted.limit, cursor=wanted.cursor)

    return pages.of_page(await db.run(actor, work))


def named(row: Any, key: str, name: str) -> Named | None:
    """Return somebody by two columns of a row, or None."""
    return Named(id=row[key], name=row[name] or "") if row[key] else None


@router.get("/{lead_id}/status-history")
@permission(*VIEW)
async def read_status_history(
    lead_id: UUID, actor: CurrentActor, now: Now, language: Language
) -> Listing[StatusInterval]:
    """Return every status a lead has had: who, when, why."""

    async def work(tx: Tx) -> tuple[Any, Machine]:
        return await queries.status_history(tx, lead_id), await lifecycle.of(tx, at=now)

    rows, machine = await db.run(actor, work)
    return Listing(
        items=[
            StatusInterval(
                **{**row, "label": machine.labels[row["status"]].by(language)},
                actor=named(row, "actor_user_id", "actor_name"),
            )
            for row in rows
        ]
    )


@router.get("/{lead_id}/assignments")
@permission(*VIEW)
async def read_assignments(lead_id: UUID, actor: CurrentActor) -> Listing[AssignmentRead]:
    """Return every pair of hands a lead has been in: whose, since when, why."""
    rows = await db.run(actor, lambda tx: queries.assignments(tx, lead_id))
    return Listing(
        items=[
            AssignmentRead(
                **{**row, "assigned_by": named(row, "assigned_by", "assigned_by_name")},
                user=named(row, "user_id", "user_name"),
                team=named(row, "team_id", "team_name"),
            )
            for row in rows
        ]
    )
