"""Consent: what people said about being contacted, whether one may contact now, calling hours by country."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api import pages
from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.language import Language
from api.schemas import Listing
from api.schemas.consent import (
    CheckCreate,
    CheckMade,
    CheckPage,
    CheckQuery,
    ConsentCreate,
    ConsentRead,
    EvidenceRead,
    HoursRead,
    HoursSet,
    MayContact,
    ReasonRead,
    WindowRead,
)  # fmt: skip
from api.schemas.leads import Made
from crm import consent, db
from crm.consent import own_hours, queries, rules
from crm.consent.hours import Window
from crm.consent.own_hours import Listed
from crm.consent.queries import WantedChecks
from crm.consent.rules import Answer, Channel, Purpose
from crm.contacts.queries import require_visible
from crm.db import Tx

router = Router(tags=["consent"])


@router.get("/contacts/{contact_id}/consents", response_model=Listing[ConsentRead])
@permission("contact.view")
async def list_consents(contact_id: UUID, actor: CurrentActor) -> Response:
    """List all a person ever said about being contacted, the latest word first."""

    async def work(tx: Tx) -> list[str]:
        await require_visible(tx, contact_id)
        return await queries.ledger(tx, contact_id)

    return pages.of_json(f'{{"items":[{",".join(await db.run(actor, work))}]}}')


@router.post("/contacts/{contact_id}/consents", status_code=201, response_model=Made)
@permission("consent.record")
async def record_consent(
    request: Request, contact_id: UUID, body: ConsentCreate, now: Now, key: IdempotencyKey = None
) -> Response:
    """Write down what a person said about one channel: yes, no, or no after a yes."""
    statement = consent.Statement(**body.model_dump())

    async def work(tx: Tx) -> Any:
        return {"id": await consent.record(tx, contact_id, statement, now=now)}

    return await create(request, key, body, work, answer=Made)


def shown(answer: Answer, language: str) -> dict[str, Any]:
    """Return an answer as it travels."""
    reason, evidence = answer.reason, answer.evidence
    return {
        "is_allowed": answer.is_allowed,
        "reason": ReasonRead(code=reason, label=rules.LABELS[reason][language]) if reason else None,
        "evidence": EvidenceRead(kind=evidence.kind, id=evidence.id) if evidence else None,
        "not_before": answer.not_before,
    }


@router.get("/contacts/{contact_id}/may-contact")
@permission("contact.view")
async def may_contact(
    contact_id: UUID,
    actor: CurrentActor,
    now: Now,
    language: Language,
    channel: Channel,
    purpose: Purpose = Purpose.enquiry,
) -> MayContact:
    """Tell whether a person may be contacted now. Asking this leaves no trace; `contact-checks` keeps the answer."""

    async def work(tx: Tx) -> Answer:
        await require_visible(tx, contact_id)
        return await consent.may_contact(tx, contact_id, channel, purpose, at=now)

    return MayContact(**shown(await db.run(actor, work), language))


@router.post("/contacts/{contact_id}/contact-checks", status_code=201, response_model=CheckMade)
@permission("consent.check")
async def check_contact(
    request: Request, contact_id: UUID, body: CheckCreate, now: Now, language: Language, key: IdempotencyKey = None
) -> Response:
    """Ask, right before contacting a person, whether one may; the answer is kept, a no stands on the timeline."""

    async def work(tx: Tx) -> Any:
        check_id, answer = await consent.check(
            tx, contact_id, body.channel, body.purpose, lead_id=body.lead_id, now=now
        )
        return {"id": check_id, **shown(answer, language)}

    return await create(request, key, body, work, answer=CheckMade)


@router.get("/contact-checks", response_model=CheckPage)
@permission("consent.audit")
async def list_checks(wanted: Annotated[CheckQuery, Query()], actor: CurrentActor) -> Response:
    """List the checks made before contacts, the latest first: who asked, and what the answer was."""
    filters = wanted.model_dump(include=queries.CHECKS.keys())
    asked = WantedChecks(filters, wanted.limit, wanted.cursor)
    return pages.of_page(await db.run(actor, lambda tx: queries.checks(tx, asked)))


CountryCode = Annotated[str, Path(pattern="^[A-Z]{2}$", description="ISO 3166, two letters.")]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _hours(each: Listed) -> HoursRead:
    windows = [
        WindowRead(days=sorted(window.days), start=_clock(window.start), end=_clock(window.end))
        for window in each.hours.windows
    ]
    return HoursRead(
        country=each.country,
        valid_from=each.hours.valid_from,
        windows=windows,
        holidays=each.hours.holidays,
        own=each.own,
    )


@router.get("/calling-hours")
@permission("settings.view")
async def list_calling_hours(actor: CurrentActor) -> Listing[HoursRead]:
    """List when people of each country may be called, what comes along and this firm's own; the latest holds."""
    return Listing(items=[_hours(each) for each in await db.run(actor, own_hours.listing)])


@router.post("/calling-hours/{country}", status_code=201, response_model=Made)
@permission("settings.manage")
async def set_calling_hours(
    request: Request, country: CountryCode, body: HoursSet, now: Now, key: IdempotencyKey = None
) -> Response:
    """Set a country's calling hours from a day on; what held before stays as it was."""
    windows = [Window(frozenset(each.days), _minute(each.start), _minute(each.end)) for each in body.windows]

    async def work(tx: Tx) -> Any:
        row_id = await own_hours.change(
            tx, country, windows, holidays=body.holidays, valid_from=body.valid_from, now=now
        )
        return {"id": row_id}

    return await create(request, key, body, work, answer=Made)
