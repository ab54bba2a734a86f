"""An arrival of the demo's market as a door of the product hands it in."""

from random import Random
from uuid import UUID

from cli.demo.market import Arrival
from crm.leads.intake import Consent, NewLead


def outside_id(seed: int, number: int) -> str:
    """Return the platform's own id of a lead: sixteen digits, the same every time."""
    return str(Random(f"outside {seed} {number}").randrange(10**15, 10**16))


def answers(arrival: Arrival) -> dict[str, str]:
    """Return what a form's own questions brought, whichever door it comes through."""
    return {**arrival.answers, "city": arrival.person.city}


def lead(arrival: Arrival, *, team_id: UUID | None, external_id: str) -> NewLead:
    """Return an arrival as a door would hand it in."""
    campaign, person = arrival.campaign, arrival.person
    is_paid = bool(campaign.adsets)
    said = [Consent(channel, status, {"form": campaign.form}) for channel, status in arrival.consents]
    return NewLead(
        source=campaign.platform if is_paid else campaign.form,
        name=person.name,
        phone=person.phone,
        email=person.email,
        country=person.country,
        language=person.language,
        external_id=external_id,
        team_id=team_id,
        platform=campaign.platform,
        campaign=campaign.id if is_paid else None,
        adset=arrival.adset.id if arrival.adset else None,
        ad=arrival.ad.id if arrival.ad else None,
        form=campaign.form,
        keyword=arrival.keyword,
        geography=person.city,
        attributes=answers(arrival),
        tags=[campaign.treatment],
        consents=said,
        acquired_at=arrival.acquired_at,
        is_test=arrival.is_test,
    )
