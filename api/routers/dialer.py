"""Dialling campaigns: designed, loaded, started and stopped by managers, worked by agents, watched by both."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api import pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.language import Language
from api.pages import CursorText, Limit
from api.schemas.calls import CallMade
from api.schemas.dialer import (
    CampaignCreate,
    CampaignItem,
    CampaignPage,
    CampaignRead,
    DesignBody,
    LoadBody,
    LoadedRead,
    ReasonBody,
    StartBody,
)
from api.schemas.dialer_entries import (
    AttemptPage,
    AttemptQuery,
    BudgetRead,
    CallNow,
    EntryPage,
    EntryQuery,
    NextBody,
    NextRead,
    OfferRead,
)
from crm import cursors, db, filtering
from crm.actor import Actor
from crm.db import Tx
from crm.dialling import campaigns, loading, queries, working
from crm.dialling.queries import Wanted
from crm.dialling.rules import Status
from crm.leads.filters import FIELDS

router = Router("/dialer", tags=["dialer"])


async def _one(tx: Tx, campaign_id: UUID) -> CampaignRead:
    return CampaignRead.of_campaign(await queries.read(tx, campaign_id))


async def _after(actor: Actor, campaign_id: UUID, change: Callable[[Tx], Awaitable[None]]) -> CampaignRead:
    """Change a campaign and return it as it is then."""

    async def work(tx: Tx) -> CampaignRead:
        await change(tx)
        return await _one(tx, campaign_id)

    return await db.run(actor, work)


@router.get("/campaigns")
@permission("dialling.view", "dialling.work")
async def list_campaigns(
    actor: CurrentActor, status: Annotated[Status | None, Query()] = None, limit: Limit = 50, cursor: CursorText = None
) -> CampaignPage:
    """List dialling campaigns, the latest first; to agents those that they can work by hand now."""
    here: dict[str, Any] = {
        "purpose": "dial-campaigns", "tenant_id": actor.tenant_id,
        "bound_to": {"user": str(actor.user_id), "filter": str(status)},
    }  # fmt: skip
    after = UUID(cursors.read(cursor, **here)) if cursor else None
    rows = await db.run(actor, lambda tx: queries.page(tx, after=after, status=status, limit=limit + 1))
    items = [CampaignItem.model_validate(dict(row)) for row in rows[:limit]]
    return CampaignPage(items=items, next_cursor=cursors.sign(items[-1].id, **here) if len(rows) > limit else None)


@router.post("/campaigns", status_code=201, response_model=CampaignRead)
@permission("dialling.manage")
async def create_campaign(request: Request, body: CampaignCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Design a campaign: a draft, until it is started."""

    async def work(tx: Tx) -> CampaignRead:
        return await _one(tx, await campaigns.create(tx, code=body.code, design=body.as_design(), now=now))

    return await create(request, key, body, work, answer=CampaignRead)


@router.get("/campaigns/{campaign_id}")
@permission("dialling.view", "dialling.work")
async def read_campaign(campaign_id: UUID, actor: CurrentActor) -> CampaignRead:
    """Return one campaign."""
    return await db.run(actor, lambda tx: _one(tx, campaign_id))


@router.put("/campaigns/{campaign_id}")
@permission("dialling.manage")
async def change_campaign(campaign_id: UUID, body: DesignBody, actor: CurrentActor, now: Now) -> CampaignRead:
    """Replace a campaign's design; while it runs only its pace, hours and retries may change."""
    return await _after(actor, campaign_id, lambda tx: campaigns.change(tx, campaign_id, body.as_design(), now=now))


@router.delete("/campaigns/{campaign_id}", status_code=204)
@permission("dialling.manage")
async def delete_campaign(campaign_id: UUID, actor: CurrentActor, now: Now) -> None:
    """Delete a draft or a stopped campaign; its attempts stay."""
    await db.run(actor, lambda tx: campaigns.delete(tx, campaign_id, now=now))


@router.post("/campaigns/{campaign_id}/start")
@permission("dialling.manage")
async def start_campaign(
    campaign_id: UUID, actor: CurrentActor, now: Now, body: StartBody | None = None
) -> CampaignRead:
    """Let a campaign dial. A predictive one needs simulated shifts that foretell that it keeps the cap, or a reason."""
    override = body.override if body else None
    return await _after(actor, campaign_id, lambda tx: campaigns.start(tx, campaign_id, override=override, now=now))


@router.post("/campaigns/{campaign_id}/pause")
@permission("dialling.manage")
async def pause_campaign(campaign_id: UUID, body: ReasonBody, actor: CurrentActor, now: Now) -> CampaignRead:
    """Let nothing more be dialled for now; calls under way go on."""
    return await _after(actor, campaign_id, lambda tx: campaigns.pause(tx, campaign_id, reason=body.reason, now=now))


@router.post("/campaigns/{campaign_id}/stop")
@permission("dialling.manage")
async def stop_campaign(campaign_id: UUID, body: ReasonBody, actor: CurrentActor, now: Now) -> CampaignRead:
    """Let nothing more be dialled; calls under way go on."""
    return await _after(actor, campaign_id, lambda tx: campaigns.stop(tx, campaign_id, reason=body.reason, now=now))


@router.post("/campaigns/{campaign_id}/drain")
@permission("dialling.manage")
async def drain_campaign(campaign_id: UUID, body: ReasonBody, actor: CurrentActor, now: Now) -> CampaignRead:
    """Let nothing more be dialled, and stop by itself when the last call has ended."""
    return await _after(actor, campaign_id, lambda tx: campaigns.drain(tx, campaign_id, reason=body.reason, now=now))


@router.post("/campaigns/{campaign_id}/load")
@permission("dialling.manage")
async def load_leads(campaign_id: UUID, body: LoadBody, actor: CurrentActor, now: Now) -> LoadedRead:
    """Put leads into a campaign, each once however often it is sent."""

    async def work(tx: Tx) -> LoadedRead:
        clauses = filtering.parse_all(body.filter or (), FIELDS, personal=True)
        loaded = await loading.load(
            tx, campaign_id, lead_ids=body.lead_ids, clauses=clauses, priority=body.priority, now=now
        )
        return LoadedRead.model_validate(loaded)

    return await db.run(actor, work)


@router.get("/campaigns/{campaign_id}/entries", response_model=EntryPage)
@permission("dialling.view")
async def list_entries(campaign_id: UUID, wanted: Annotated[EntryQuery, Query()], actor: CurrentActor) -> Response:
    """List a campaign's leads and where each stands, the latest loaded first."""
    asked = Wanted(wanted.model_dump(include=queries.ENTRIES.keys()), wanted.limit, wanted.cursor)
    return pages.of_page(await db.run(actor, lambda tx: queries.entries(tx, campaign_id, asked)))


@router.get("/campaigns/{campaign_id}/attempts", response_model=AttemptPage)
@permission("dialling.view")
async def list_attempts(campaign_id: UUID, wanted: Annotated[AttemptQuery, Query()], actor: CurrentActor) -> Response:
    """List a campaign's attempts, those that were not allowed among them, the latest first."""
    asked = Wanted(wanted.model_dump(include=queries.ATTEMPTS.keys()), wanted.limit, wanted.cursor)
    return pages.of_page(await db.run(actor, lambda tx: queries.attempts(tx, campaign_id, asked)))


@router.get("/campaigns/{campaign_id}/budget")
@permission("dialling.view")
async def read_budget(campaign_id: UUID, actor: CurrentActor, now: Now) -> BudgetRead:
    """Return how a campaign stands with its cap in the shift and in 30 days, and what it may do now."""
    return BudgetRead.of_verdict(*await db.run(actor, lambda tx: queries.budget(tx, campaign_id, now=now)))


@router.post("/next")
@permission("dialling.work")
async def next_lead(body: NextBody, actor: CurrentActor, now: Now) -> NextRead:
    """Ask for the next lead of a manual or preview campaign; it is yours until its deadline."""
    row = await db.run(actor, lambda tx: working.next_lead(tx, body.campaign_id, now=now))
    offer = row and OfferRead(entry_id=row["id"], lead_id=row["lead_id"], until=row["claimed_until"])
    return NextRead(offer=offer)


@router.post("/entries/{entry_id}/call", status_code=201, response_model=CallMade)
@permission("dialling.work")
async def call_entry(
    request: Request, entry_id: UUID, body: CallNow, now: Now, language: Language, key: IdempotencyKey = None
) -> Response:
    """Call the lead you were shown: your telephone rings first, then theirs."""

    async def work(tx: Tx) -> CallMade:
        return CallMade.of(await working.call(tx, entry_id, now=now), language)

    return await create(request, key, body, work, answer=CallMade)


@router.post("/entries/{entry_id}/skip", status_code=204)
@permission("dialling.work")
async def skip_entry(entry_id: UUID, body: ReasonBody, actor: CurrentActor, now: Now) -> None:
    """Pass a lead over that you were shown; others may get it later."""
    await db.run(actor, lambda tx: working.skip(tx, entry_id, reason=body.reason, now=now))
