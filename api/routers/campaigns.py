"""Advertising campaigns."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.schemas.campaigns import CampaignCreate, CampaignPage, CampaignRead, CampaignUpdate, Code
from crm import campaigns, cursors, db
from crm.db import Tx

router = Router("/campaigns")


@router.get("")
@permission("campaign.view")
async def list_campaigns(
    actor: CurrentActor,
    platform: Code | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=1000)] = "",
) -> CampaignPage:
    """List campaigns, the latest first."""
    here = {"purpose": "campaigns", "tenant_id": actor.tenant_id, "bound_to": str(platform)}
    after = UUID(cursors.read(cursor, **here)) if cursor else None
    rows = await db.run(actor, lambda tx: campaigns.page(tx, after=after, platform=platform, limit=limit + 1))
    items = [CampaignRead.model_validate(dict(row)) for row in rows[:limit]]
    following = cursors.sign(items[-1].id, **here) if len(rows) > limit else None
    return CampaignPage(items=items, next_cursor=following)


@router.post("", status_code=201, response_model=CampaignRead)
@permission("campaign.manage")
async def create_campaign(request: Request, body: CampaignCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Make a campaign known."""

    async def work(tx: Tx) -> dict[str, object]:
        campaign_id = await campaigns.create(
            tx, platform=body.platform, external_id=body.external_id, name=body.name, status=body.status, now=now
        )
        return dict(await campaigns.get(tx, campaign_id))

    return await create(request, key, body, work, answer=CampaignRead)


@router.get("/{campaign_id}")
@permission("campaign.view")
async def read_campaign(campaign_id: UUID, actor: CurrentActor) -> CampaignRead:
    """Return one campaign."""
    return CampaignRead.model_validate(dict(await db.run(actor, lambda tx: campaigns.get(tx, campaign_id))))


@router.patch("/{campaign_id}")
@permission("campaign.manage")
async def update_campaign(campaign_id: UUID, body: CampaignUpdate, actor: CurrentActor, now: Now) -> CampaignRead:
    """Change a campaign's name or status."""

    async def work(tx: Tx) -> dict[str, object]:
        await campaigns.update(tx, campaign_id, name=body.name, status=body.status, now=now)
        return dict(await campaigns.get(tx, campaign_id))

    return CampaignRead.model_validate(await db.run(actor, work))
