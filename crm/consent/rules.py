"""May I contact? Words and decisions: no database, no clock.

The facts about a person come in, the first reason against a contact comes out, or the evidence that allows it. Which
reason is first is a matter of law, not of taste: who was erased is not looked at any further, who asked never to be
contacted is not asked for consent, and only who may be contacted at all has hours.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Channel(StrEnum):
    """Ways to reach a person; each is agreed to, and refused, on its own."""

    call = "call"
    email = "email"
    sms = "sms"
    whatsapp = "whatsapp"


class Purpose(StrEnum):
    """What a contact is for."""

    marketing = "marketing"
    """Offers nobody asked for: needs consent."""
    enquiry = "enquiry"
    """Answering what the person asked: rests on their own enquiry, as long as that is recent."""
    service = "service"
    """About what was agreed (an appointment, an operation): rests on the same, and outlives a refusal of offers."""


class Status(StrEnum):
    """What a person said: yes, no when asked, or no after a yes."""

    granted = "granted"
    denied = "denied"
    withdrawn = "withdrawn"


class LegalBasis(StrEnum):
    """On which ground of the law a fact stands (KVKK art. 5, GDPR art. 6)."""

    consent = "consent"
    request = "request"
    contract = "contract"
    legitimate_interest = "legitimate_interest"
    legal_duty = "legal_duty"


class Reason(StrEnum):
    """Why a contact is denied, the first to be told first."""

    erased = "erased"
    archived = "archived"
    no_address = "no_address"
    number_not_allowed = "number_not_allowed"
    dnc = "dnc"
    no_consent = "no_consent"
    opted_out = "opted_out"
    outside_hours = "outside_hours"
    cooling_off = "cooling_off"
    frequency_cap = "frequency_cap"


LABELS: dict[Reason, dict[str, str]] = {
    Reason.erased: {"tr": "Kişi silindi", "en": "The person was erased"},
    Reason.archived: {"tr": "Kişi arşivde", "en": "The person is archived"},
    Reason.no_address: {"tr": "Bu kanal için adres yok", "en": "No address for this channel"},
    Reason.number_not_allowed: {"tr": "Bu tür numara aranmaz", "en": "Numbers of this kind or country are not called"},
    Reason.dnc: {"tr": "Arama yasağı listesinde", "en": "On the do-not-contact list"},
    Reason.no_consent: {"tr": "İzin yok", "en": "No consent"},
    Reason.opted_out: {"tr": "İzin reddedildi", "en": "Opted out"},
    Reason.outside_hours: {"tr": "Arama saatleri dışında", "en": "Outside calling hours"},
    Reason.cooling_off: {"tr": "Bekleme süresinde", "en": "Cooling off"},
    Reason.frequency_cap: {"tr": "Temas sınırına ulaşıldı", "en": "Contacted often enough"},
}

ADDRESS: dict[Channel, str] = {
    Channel.call: "phone",
    Channel.sms: "phone",
    Channel.whatsapp: "phone",
    Channel.email: "email",
}
"""The kind of address a channel goes to."""

HAS_HOURS = frozenset({Channel.call, Channel.sms, Channel.whatsapp})
"""What rings or buzzes keeps to hours; an e-mail waits by itself."""

COVERED_BY: dict[Purpose, tuple[Purpose, ...]] = {
    Purpose.marketing: (Purpose.marketing,),
    Purpose.enquiry: (Purpose.enquiry, Purpose.marketing),
    Purpose.service: (Purpose.service,),
}
"""Whose word decides about a purpose. Who wants no offers on a channel is not called about an enquiry there either,
until they say so; an appointment is still confirmed."""

NEEDS_CONSENT = frozenset({Purpose.marketing})
"""What the person's own enquiry does not allow by itself."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What allows a contact: a `consent` (a fact of the ledger) or the person's own `lead`."""

    kind: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Said:
    """The last word of a person about a channel and purpose, of those that hold; a yes that has lapsed does not."""

    consent_id: UUID
    status: Status


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a person, one channel and one purpose at one instant; instants are UTC.

    `opens_at`: when the hours of every place the person may be in allow it, the asked instant itself when they do now,
    None when they do not within two weeks. `rests_until`, `capped_until`: None when neither holds.
    """

    is_erased: bool = False
    is_archived: bool = False
    has_address: bool = True
    is_barred: bool = False
    """The number is of a kind or country that the firm does not call."""
    is_listed: bool = False
    said: Said | None = None
    lead_id: UUID | None = None
    opens_at: datetime | None = None
    rests_until: datetime | None = None
    capped_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes with its evidence, or no with the first reason and, where waiting helps, the instant (UTC) it ends."""

    reason: Reason | None = None
    evidence: Evidence | None = None
    not_before: datetime | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether the contact may take place."""
        return self.reason is None


def answer(facts: Facts, purpose: Purpose, at: datetime) -> Answer:
    """Return whether a contact for `purpose` is allowed at an instant (UTC): the first reason in `Reason`'s order."""
    if facts.is_erased:
        return Answer(Reason.erased)
    if facts.is_archived:
        return Answer(Reason.archived)
    if not facts.has_address:
        return Answer(Reason.no_address)
    if facts.is_barred:
        return Answer(Reason.number_not_allowed)
    if facts.is_listed:
        return Answer(Reason.dnc)
    ground = ground_of(facts.said, facts.lead_id, purpose)
    if isinstance(ground, Reason):
        return Answer(ground)
    if facts.opens_at != at:
        return Answer(Reason.outside_hours, not_before=facts.opens_at)
    if facts.rests_until is not None and facts.rests_until > at:
        return Answer(Reason.cooling_off, not_before=facts.rests_until)
    if facts.capped_until is not None and facts.capped_until > at:
        return Answer(Reason.frequency_cap, not_before=facts.capped_until)
    return Answer(evidence=ground)


def ground_of(said: Said | None, lead_id: UUID | None, purpose: Purpose) -> Evidence | Reason:
    """Return what allows a purpose, or why nothing does: `opted_out` for a no, `no_consent` for no word that holds."""
    if said is not None and said.status is not Status.granted:
        return Reason.opted_out
    if said is not None:
        return Evidence("consent", said.consent_id)
    if purpose not in NEEDS_CONSENT and lead_id is not None:
        return Evidence("lead", lead_id)
    return Reason.no_consent


def attempts(made: Iterable[datetime], allowed: Iterable[datetime]) -> list[datetime]:
    """Return what counts for the cap, the latest first: contacts made, and contacts allowed that are still to be made.

    Each contact made settles the earliest allowed one before it that nothing settled yet.
    """
    contacts = sorted(made)
    pending = deque(sorted(allowed))
    for contact in contacts:
        if pending and pending[0] <= contact:
            pending.popleft()
    return sorted([*contacts, *pending], reverse=True)


def capped_until(attempts: Sequence[datetime], most: int | None, within: timedelta) -> datetime | None:
    """Return when fewer than `most` attempts lie in the last `within`; None when there is no cap or it is not reached.

    `attempts`: the latest first. The window slides: midnight resets nothing.
    """
    if most is None or len(attempts) < most:
        return None
    return attempts[most - 1] + within
