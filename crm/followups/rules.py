"""What to do next with a lead, and why (LEAD-8): pure rules from facts to an ordered list. No database, no clock.

Nothing is suggested that the tenant's machine or the person's consent does not allow; an open lead always has a next
step; the same facts give the same answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from crm.leads.lifecycle import Needed
from crm.leads.rules import TERMINAL, Status

PATIENCE = 5
"""Attempts without an answer after which a lead is rather given up."""
BACK_OFF = (timedelta(hours=2), timedelta(hours=6), timedelta(hours=24), timedelta(hours=48))
"""How long to wait after the first, second, … attempt that nobody answered; the last one holds for all after it."""
NURSE = timedelta(days=1)
"""How long a lead that spoke with us rests before it is taken up again."""
QUOTE_RESTS = timedelta(days=2)
"""How long a quote is left to be thought over."""
WARN_BEFORE = timedelta(days=1)
"""How long before a quote expires its customer hears of it."""
UNANSWERED = frozenset({"no_answer", "busy", "voicemail", "sent", "failed", "unreachable"})
"""Outcomes of attempts that reached nobody."""


class Code(StrEnum):
    """A step that can be suggested."""

    check_in = "check_in"
    assign = "assign"
    call = "call"
    whatsapp = "whatsapp"
    email = "email"
    find_address = "find_address"
    make_quote = "make_quote"
    renew_quote = "renew_quote"
    follow_up_quote = "follow_up_quote"
    record_sale = "record_sale"
    plan_procedure = "plan_procedure"
    qualify = "qualify"
    close_lost = "close_lost"
    reopen = "reopen"
    review = "review"


LABELS: dict[Code, dict[str, str]] = {
    Code.check_in: {"tr": "Kontrol araması yap", "en": "Check in after the procedure"},
    Code.assign: {"tr": "Bir sorumluya ver", "en": "Give it to somebody"},
    Code.call: {"tr": "Ara", "en": "Call"},
    Code.whatsapp: {"tr": "WhatsApp'tan yaz", "en": "Write on WhatsApp"},
    Code.email: {"tr": "E-posta gönder", "en": "Send an e-mail"},
    Code.find_address: {"tr": "Doğru numarayı bul", "en": "Find the right number"},
    Code.make_quote: {"tr": "Teklif hazırla", "en": "Make a quote"},
    Code.renew_quote: {"tr": "Teklifi yenile", "en": "Renew the quote"},
    Code.follow_up_quote: {"tr": "Teklifi sor", "en": "Ask about the quote"},
    Code.record_sale: {"tr": "Satışı kaydet", "en": "Record the sale"},
    Code.plan_procedure: {"tr": "İşlem gününü belirle", "en": "Set the day of the procedure"},
    Code.qualify: {"tr": "Nitelikli olarak işaretle", "en": "Mark as qualified"},
    Code.close_lost: {"tr": "Kayıp olarak kapat", "en": "Close as lost"},
    Code.reopen: {"tr": "Yeniden aç", "en": "Reopen"},
    Code.review: {"tr": "Gözden geçir, not ekle", "en": "Look through it and add a note"},
}

MOVES: dict[Code, Status] = {
    Code.record_sale: Status.won,
    Code.qualify: Status.qualified,
    Code.close_lost: Status.lost,
    Code.reopen: Status.recycled,
}
"""Steps that move the lead, and where to: the machine must have that way."""
CONTACTS = (Code.call, Code.whatsapp, Code.email)
"""Steps that contact the person, by the name of the channel."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest quote of a lead's cycle: how it stands, since when, until when (UTC)."""

    status: str
    since: datetime
    valid_until: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether it is over by its own words."""
        return self.valid_until is not None and self.valid_until <= now


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A pending check-in. `day`: after the procedure; `due_at` UTC."""

    id: UUID
    day: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a lead at one instant. Instants are UTC.

    `may_become`: what the machine allows a person from here; `required`: what `lost` and the others ask for.
    `channels`: ways in which the person may be contacted about the enquiry, each with the first instant at which it is
    allowed; `service_channels`: the same about what was sold.
    `attempts`: outbound calls and messages by people in this cycle; `unanswered`: those in a row, up to the last.
    """

    status: Status
    status_since: datetime
    received_at: datetime
    is_owned: bool = True
    may_become: frozenset[Status] = frozenset()
    required: Mapping[Status, frozenset[Needed]] = field(default_factory=dict)
    channels: Mapping[str, datetime] = field(default_factory=dict)
    service_channels: Mapping[str, datetime] = field(default_factory=dict)
    attempts: int = 0
    unanswered: int = 0
    last_attempt_at: datetime | None = None
    last_outcome: str | None = None
    quote: Quote | None = None
    check_ins: tuple[CheckIn, ...] = ()
    has_procedure_day: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One suggestion: what, why (a code with its figures), from when it is due (UTC, None: now), what it would need."""

    code: Code
    reason: str
    figures: Mapping[str, object] = field(default_factory=dict)
    due_at: datetime | None = None
    needs: tuple[Needed, ...] = ()


def suggest(facts: Facts, now: datetime) -> list[Step]:
    """Return what to do next, the most urgent first: what is due by its instant, then what is to come."""
    found: dict[Code, Step] = {}
    for step in _candidates(facts, now):
        if step.code not in found and _is_allowed(step, facts):
            found[step.code] = step
    if not found and facts.status not in TERMINAL:
        found[Code.review] = Step(Code.review, "nothing_else", {"days": (now - facts.status_since).days})
    steps = list(found.values())
    return [step for step in steps if _is_due(step, now)] + sorted(
        (step for step in steps if not _is_due(step, now)), key=lambda step: step.due_at or now
    )


def _is_due(step: Step, now: datetime) -> bool:
    return step.due_at is None or step.due_at <= now


def _is_allowed(step: Step, facts: Facts) -> bool:
    if step.code in CONTACTS:
        return step.code.value in facts.channels
    if step.code is Code.follow_up_quote:
        return bool(facts.channels)
    return step.code not in MOVES or MOVES[step.code] in facts.may_become


def _candidates(facts: Facts, now: datetime) -> Iterator[Step]:
    """Yield suggestions in the order of their weight; the first of a kind counts."""
    for check_in in sorted(facts.check_ins, key=lambda each: (each.due_at, each.day)):
        for channel, opens in _in_order(facts.service_channels):
            figures = {"check_in_id": check_in.id, "day": check_in.day, "channel": channel}
            yield Step(Code.check_in, "check_in_scheduled", figures, max(check_in.due_at, opens))
    if facts.status is Status.won:
        if not facts.has_procedure_day:
            yield Step(Code.plan_procedure, "sold_without_day", {"days": (now - facts.status_since).days})
        return
    if facts.status is Status.lost:
        yield _move(Code.reopen, "was_lost", {"days": (now - facts.status_since).days}, facts)
        return
    if not facts.is_owned:
        yield Step(Code.assign, "unowned", {"hours": _hours(now - facts.status_since)})
    yield from _of_the_number(facts)
    yield from _of_the_quote(facts, now)
    yield from _of_attempts(facts, now)


def _of_the_number(facts: Facts) -> Iterator[Step]:
    if facts.status is Status.wrong_number:
        if "email" in facts.channels:
            yield _contact(Code.email, "wrong_number", {}, None, facts)
        yield Step(Code.find_address, "wrong_number")
        yield _move(Code.close_lost, "wrong_number", {}, facts)
    elif facts.status is Status.blocked:
        yield _move(Code.close_lost, "blocked", {}, facts)


def _of_the_quote(facts: Facts, now: datetime) -> Iterator[Step]:
    quote = facts.quote
    if quote is None or quote.status in ("declined", "superseded", "withdrawn"):
        if facts.status in (Status.qualified, Status.proposal):
            yield Step(Code.make_quote, "quote_declined" if quote and quote.status == "declined" else "no_quote")
        if quote and quote.status == "declined":
            yield _move(Code.close_lost, "quote_declined", {}, facts)
    elif quote.status == "accepted":
        yield _move(Code.record_sale, "quote_accepted", {"days": (now - quote.since).days}, facts)
    elif quote.is_expired(now):
        yield Step(Code.renew_quote, "quote_expired", {"valid_until": quote.valid_until})
    else:
        due = quote.since + QUOTE_RESTS
        if quote.valid_until is not None:
            due = max(quote.since, min(due, quote.valid_until - WARN_BEFORE))
        figures = {"days": (now - quote.since).days, "valid_until": quote.valid_until}
        yield Step(Code.follow_up_quote, "quote_open", figures, due)


def _of_attempts(facts: Facts, now: datetime) -> Iterator[Step]:
    """Suggest the next contact: at once when nobody tried, after a pause when nobody answered or when they spoke."""
    if facts.status in (Status.wrong_number, Status.blocked):
        return
    if facts.attempts == 0 or facts.last_attempt_at is None:
        for code in CONTACTS:
            yield _contact(
                code, "not_tried", {"minutes": int((now - facts.received_at).total_seconds() // 60)}, None, facts
            )
        return
    tried = {"attempts": facts.attempts, "unanswered": facts.unanswered, "outcome": facts.last_outcome}
    if facts.unanswered >= PATIENCE:
        yield _move(Code.close_lost, "not_reached", tried, facts)
    elif facts.unanswered:
        due = facts.last_attempt_at + BACK_OFF[min(facts.unanswered, len(BACK_OFF)) - 1]
        # Who does not answer the telephone is written to as well, where that is allowed.
        order = CONTACTS if facts.unanswered < 2 else (Code.whatsapp, Code.call, Code.email)
        for code in order:
            yield _contact(code, "not_reached", tried, due, facts)
    elif facts.status is Status.not_interested:
        yield _move(Code.close_lost, "not_interested", tried, facts)
    else:
        if facts.status is Status.interested:
            yield _move(Code.qualify, "interested", tried, facts)
        for code in CONTACTS:
            yield _contact(code, "keep_talking", tried, facts.last_attempt_at + NURSE, facts)


def _in_order(channels: Mapping[str, datetime]) -> list[tuple[str, datetime]]:
    """Return the allowed channels, the most personal first."""
    return [(code.value, channels[code.value]) for code in CONTACTS if code.value in channels]


def _hours(span: timedelta) -> int:
    return int(span.total_seconds() // 3600)


def _contact(code: Code, reason: str, figures: Mapping[str, object], due_at: datetime | None, facts: Facts) -> Step:
    """Return a contact, not before it is allowed."""
    opens = facts.channels.get(code.value)
    if opens is not None:
        due_at = opens if due_at is None else max(due_at, opens)
    return Step(code, reason, figures, due_at)


def _move(code: Code, reason: str, figures: Mapping[str, object], facts: Facts) -> Step:
    needs = facts.required.get(MOVES[code], frozenset())
    return Step(code, reason, figures, needs=tuple(each for each in Needed if each in needs))
