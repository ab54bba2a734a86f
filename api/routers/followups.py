"""What follows a lead's first word: quotes, sales, procedures, and its next cycle."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api import lead_detail, pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.language import Language
from api.schemas.followups import (
    FollowUps,
    LeadDetail,
    ProcedurePlan,
    QuoteAnswer,
    QuoteMake,
    QuoteWithdraw,
    Reopen,
    SaleCancel,
    SaleMake,
)
from api.schemas.leads import Made
from crm import db
from crm.db import Tx
from crm.followups import operations
from crm.leads import quotes, statuses
from crm.money import Money

router = Router("/leads", tags=["follow-ups"])

VIEW = ("lead.view.own", "lead.view.team", "lead.view.all")


@router.post("/{lead_id}/reopen", status_code=201, response_model=LeadDetail)
@permission("lead.status")
async def reopen_lead(
    request: Request, lead_id: UUID, body: Reopen, now: Now, language: Language, key: IdempotencyKey = None
) -> Response:
    """Open the next cycle of a lead that was won or lost."""

    async def work(tx: Tx) -> Any:
        await statuses.reopen(tx, lead_id, reason=body.reason, note=body.note, release=body.release, now=now)
        return await lead_detail.parsed(tx, lead_id, language=language, now=now)

    return await create(request, key, body, work, answer=LeadDetail)


@router.get("/{lead_id}/follow-ups")
@permission(*VIEW)
async def read_follow_ups(lead_id: UUID, actor: CurrentActor, now: Now) -> FollowUps:
    """Return a lead's quotes, sales, procedure and check-ins."""
    return await db.run(actor, lambda tx: lead_detail.follow_ups(tx, lead_id, now=now))


@router.post("/{lead_id}/quotes", status_code=201, response_model=Made)
@permission("quote.edit")
async def make_quote(
    request: Request, lead_id: UUID, body: QuoteMake, now: Now, key: IdempotencyKey = None
) -> Response:
    """Offer a price; the open quote of before is superseded."""

    async def work(tx: Tx) -> dict[str, UUID]:
        quote_id = await quotes.make(
            tx,
            lead_id,
            Money.exactly(body.amount, body.currency),
            procedure_type=body.procedure_type,
            valid_until=body.valid_until,
            note=body.note,
            now=now,
        )
        return {"id": quote_id}

    return await create(request, key, body, work, answer=Made)


@router.post("/{lead_id}/quotes/{quote_id}/answer")
@permission("quote.edit")
async def answer_quote(lead_id: UUID, quote_id: UUID, body: QuoteAnswer, actor: CurrentActor, now: Now) -> FollowUps:
    """Record what the customer said to an open quote."""

    async def work(tx: Tx) -> FollowUps:
        await quotes.answer(tx, lead_id, quote_id, body.answer, reason=body.reason, now=now)
        return await lead_detail.follow_ups(tx, lead_id, now=now)

    return await db.run(actor, work)


@router.post("/{lead_id}/quotes/{quote_id}/withdraw")
@permission("quote.edit")
async def withdraw_quote(
    lead_id: UUID, quote_id: UUID, body: QuoteWithdraw, actor: CurrentActor, now: Now
) -> FollowUps:
    """Take back an open quote."""

    async def work(tx: Tx) -> FollowUps:
        await quotes.withdraw(tx, lead_id, quote_id, reason=body.reason, now=now)
        return await lead_detail.follow_ups(tx, lead_id, now=now)

    return await db.run(actor, work)


@router.post("/{lead_id}/sale", status_code=201, response_model=LeadDetail)
@permission("lead.status")
async def record_sale(
    request: Request, lead_id: UUID, body: SaleMake, now: Now, language: Language, key: IdempotencyKey = None
) -> Response:
    """Close a lead as won, for an amount or on a quote; a known day of the procedure schedules the check-ins."""

    async def work(tx: Tx) -> Any:
        price = Money.exactly(body.amount, body.currency) if body.amount is not None and body.currency else None
        await operations.sell(
            tx,
            lead_id,
            price,
            quote_id=body.quote_id,
            procedure_type=body.procedure_type,
            takes_place_on=body.takes_place_on,
            note=body.note,
            now=now,
        )
        return await lead_detail.parsed(tx, lead_id, language=language, now=now)

    return await create(request, key, body, work, answer=LeadDetail)


@router.post("/{lead_id}/sale/cancel", response_model=LeadDetail)
@permission("lead.status")
async def cancel_sale(lead_id: UUID, body: SaleCancel, actor: CurrentActor, now: Now, language: Language) -> Response:
    """Undo a sale: the lead is lost, and what was still to come after the procedure is cancelled."""

    async def work(tx: Tx) -> str:
        await operations.cancel_sale(tx, lead_id, reason=body.reason, note=body.note, now=now)
        return await lead_detail.read(tx, lead_id, language=language, now=now)

    return pages.of_json(await db.run(actor, work))


@router.put("/{lead_id}/procedure")
@permission("followup.edit")
async def plan_procedure(lead_id: UUID, body: ProcedurePlan, actor: CurrentActor, now: Now) -> FollowUps:
    """Say what will be done and on which day; check-ins of what was sold follow the day."""

    async def work(tx: Tx) -> FollowUps:
        await operations.plan_procedure(
            tx, lead_id, procedure_type=body.procedure_type, takes_place_on=body.takes_place_on, now=now
        )
        return await lead_detail.follow_ups(tx, lead_id, now=now)

    return await db.run(actor, work)
