"""Call processes: scripts and forms that agents follow, and how far their calls have come in them."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Response
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas import Listing
from api.schemas.processes import (
    AnswersBody,
    DraftBody,
    PreviewBody,
    ProcessCreate,
    ProcessRead,
    RetireBody,
    RevealBody,
    RunRead,
    UseBody,
    UseRead,
    VersionRead,
    VersionShort,
    WalkRead,
    WrittenRead,
)
from crm import db
from crm.db import Tx
from crm.processes import operations, queries, rules, runs, soundness, wording
from crm.processes.definition import Question, Step
from crm.processes.queries import Version
from crm.processes.rules import Walk
from crm.processes.runs import Run

router = Router("/process-master", tags=["processes"])

Number = Annotated[int, Path(ge=1, le=1_000_000)]


def _version(found: Version) -> VersionRead:
    short = VersionShort.model_validate(found).model_dump()
    return VersionRead(**short, definition=found.definition, problems=soundness.wrong_with(found.definition))


def _walk(walk: Walk, facts: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        "path": [_step(step, walk, facts) for step in walk.path],
        "at_step": walk.at and walk.at.key,
        "disposition": walk.end and walk.end.disposition,
        "dropped": list(walk.dropped),
    }


def _step(step: Step, walk: Walk, facts: Mapping[str, str | None]) -> dict[str, Any]:
    questions = [_question(question, walk, facts) for question in step.questions]
    return {"key": step.key, "text": wording.filled(step.text, facts), "questions": questions}


def _question(question: Question, walk: Walk, facts: Mapping[str, str | None]) -> dict[str, Any]:
    mine = ("key", "kind", "is_required", "least", "most")
    choices = [{"key": each.key, "label": wording.filled(each.label, facts)} for each in question.choices]
    return {name: getattr(question, name) for name in mine} | {
        "label": wording.filled(question.label, facts), "choices": choices, "answer": walk.kept.get(question.key),
    }  # fmt: skip


def _run(run: Run) -> RunRead:
    of_version = {
        "process": run.version.key, "process_version_id": run.version.id, "version_no": run.version.version_no
    }  # fmt: skip
    return RunRead(
        **_walk(run.walk, run.facts), **of_version, call_id=run.call_id, revision=run.revision, saved_at=run.saved_at
    )


async def _one(tx: Tx, process_id: UUID) -> dict[str, Any]:
    return dict(await queries.one(tx, process_id))


@router.get("")
@permission("process.view")
async def list_processes(actor: CurrentActor) -> Listing[ProcessRead]:
    """List every process by key, retired ones too; a firm has few."""
    return Listing(items=[ProcessRead.model_validate(dict(row)) for row in await db.run(actor, queries.every)])


@router.post("", status_code=201, response_model=ProcessRead)
@permission("process.manage")
async def create_process(request: Request, body: ProcessCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Make a process."""

    async def work(tx: Tx) -> dict[str, Any]:
        labels = body.labels.model_dump()
        return await _one(tx, await operations.create(tx, body.key, labels, body.definition, now=now))

    return await create(request, key, body, work, answer=ProcessRead)


@router.get("/uses")
@permission("process.view")
async def list_uses(actor: CurrentActor, now: Now) -> Listing[UseRead]:
    """List which calls follow which process now: campaigns first, then queues, then purposes."""
    rows = await db.run(actor, lambda tx: queries.uses(tx, at=now))
    return Listing(items=[UseRead.model_validate(dict(row)) for row in rows])


@router.put("/uses", status_code=204)
@permission("process.manage")
async def set_use(body: UseBody, actor: CurrentActor, now: Now) -> None:
    """Say that calls of a campaign, a queue or a purpose follow a process from now on; calls that began keep theirs."""
    await db.run(actor, lambda tx: operations.use(tx, **body.model_dump(), now=now))


@router.get("/runs/{call_id}")
@permission("process.work", "process.view")
async def read_run(call_id: UUID, actor: CurrentActor) -> RunRead:
    """Say how far a call has come, worded for it, in the version it started with."""
    return _run(await db.run(actor, lambda tx: runs.get(tx, call_id)))


@router.put("/runs/{call_id}")
@permission("process.work")
async def save_run(call_id: UUID, body: AnswersBody, actor: CurrentActor, now: Now) -> RunRead:
    """Save all answers of one's own call so far; what comes next is answered."""
    return _run(
        await db.run(actor, lambda tx: runs.save(tx, call_id, body.answers, revision=body.revision, now=now))
    )  # fmt: skip


@router.post("/runs/{call_id}/reveal")
@permission("contact.reveal")
async def reveal_run(call_id: UUID, body: RevealBody, actor: CurrentActor, now: Now) -> WrittenRead:
    """Show what a customer answered in their own words as it was written; who looked and why is written down."""
    return WrittenRead(answers=await db.run(actor, lambda tx: runs.reveal(tx, call_id, body.reason, now=now)))


@router.get("/{process_id}")
@permission("process.view")
async def read_process(process_id: UUID, actor: CurrentActor) -> ProcessRead:
    """Return one process."""
    return ProcessRead.model_validate(await db.run(actor, lambda tx: _one(tx, process_id)))


@router.get("/{process_id}/versions")
@permission("process.view")
async def list_versions(process_id: UUID, actor: CurrentActor) -> Listing[VersionShort]:
    """List the versions of a process, the latest first."""
    found = await db.run(actor, lambda tx: queries.versions(tx, process_id))
    return Listing(items=[VersionShort.model_validate(each) for each in found])


@router.get("/{process_id}/versions/{version_no}")
@permission("process.view")
async def read_version(process_id: UUID, version_no: Number, actor: CurrentActor) -> VersionRead:
    """Return one version, and what keeps a draft from being published."""
    return _version(await db.run(actor, lambda tx: queries.numbered(tx, process_id, version_no)))


@router.put("/{process_id}/draft")
@permission("process.manage")
async def save_draft(process_id: UUID, body: DraftBody, actor: CurrentActor, now: Now) -> VersionRead:
    """Save the draft of a process's next version, in place of the one there is; the answer names what is wrong yet."""

    async def work(tx: Tx) -> Version:
        version_no = await operations.draft(tx, process_id, body.definition, now=now)
        return await queries.numbered(tx, process_id, version_no)

    return _version(await db.run(actor, work))


@router.delete("/{process_id}/draft", status_code=204)
@permission("process.manage")
async def discard_draft(process_id: UUID, actor: CurrentActor, now: Now) -> None:
    """Throw the draft of a process away."""
    await db.run(actor, lambda tx: operations.discard(tx, process_id, now=now))


@router.post("/{process_id}/publish")
@permission("process.manage")
async def publish_process(process_id: UUID, actor: CurrentActor, now: Now) -> ProcessRead:
    """Publish the draft: calls that start from now on follow it. What is wrong with it is named by step and field."""

    async def work(tx: Tx) -> dict[str, Any]:
        await operations.publish(tx, process_id, now=now)
        return await _one(tx, process_id)

    return ProcessRead.model_validate(await db.run(actor, work))


@router.post("/{process_id}/retire")
@permission("process.manage")
async def retire_process(process_id: UUID, body: RetireBody, actor: CurrentActor, now: Now) -> ProcessRead:
    """Retire a process, or one version of it; calls that follow it go on with it."""

    async def work(tx: Tx) -> dict[str, Any]:
        await operations.retire(tx, process_id, body.version_no, now=now)
        return await _one(tx, process_id)

    return ProcessRead.model_validate(await db.run(actor, work))


@router.post("/{process_id}/versions/{version_no}/walk")
@permission("process.view")
async def try_version(process_id: UUID, version_no: Number, body: PreviewBody, actor: CurrentActor) -> WalkRead:
    """Try a version with answers, drafts too when they are sound; nothing is kept."""

    async def work(tx: Tx) -> Walk:
        found = await queries.numbered(tx, process_id, version_no)
        if wrong := soundness.wrong_with(found.definition):
            raise operations.NotSound(fields=wrong)
        return rules.walk(found.definition, body.answers)

    return WalkRead.model_validate(_walk(await db.run(actor, work), {}))
