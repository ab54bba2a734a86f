"""What can be suggested as the next step with a lead, and why, in codes and in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from crm.leads.lifecycle import Needed


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


class Reason(StrEnum):
    """Why a step is suggested."""

    check_in_scheduled = "check_in_scheduled"
    sold_without_day = "sold_without_day"
    was_lost = "was_lost"
    unowned = "unowned"
    wrong_number = "wrong_number"
    blocked = "blocked"
    no_quote = "no_quote"
    quote_declined = "quote_declined"
    quote_accepted = "quote_accepted"
    quote_expired = "quote_expired"
    quote_open = "quote_open"
    not_tried = "not_tried"
    asked = "asked"
    not_reached = "not_reached"
    not_interested = "not_interested"
    interested = "interested"
    keep_talking = "keep_talking"
    nothing_else = "nothing_else"


BECAUSE: dict[Reason, dict[str, str]] = {
    Reason.check_in_scheduled: {"tr": "İşlemden sonraki {day}. gün", "en": "Day {day} after the procedure"},
    Reason.sold_without_day: {
        "tr": "{days} gün önce satıldı, işlem günü belli değil",
        "en": "Sold {days} days ago, no day for the procedure yet",
    },
    Reason.was_lost: {"tr": "{days} gün önce kaybedildi", "en": "Lost {days} days ago"},
    Reason.unowned: {"tr": "{hours} saattir sorumlusu yok", "en": "Nobody has had it for {hours} hours"},
    Reason.wrong_number: {"tr": "Numara yanlış", "en": "The number is wrong"},
    Reason.blocked: {"tr": "Kişi bizi engelledi", "en": "The person has blocked us"},
    Reason.no_quote: {"tr": "Henüz geçerli teklif yok", "en": "There is no quote yet"},
    Reason.quote_declined: {"tr": "Teklif reddedildi", "en": "The quote was declined"},
    Reason.quote_accepted: {
        "tr": "Teklif {days} gün önce kabul edildi",
        "en": "The quote was accepted {days} days ago",
    },
    Reason.quote_expired: {"tr": "Teklifin süresi doldu", "en": "The quote has expired"},
    Reason.quote_open: {"tr": "Teklif {days} gündür cevapsız", "en": "The quote has been open for {days} days"},
    Reason.not_tried: {"tr": "{minutes} dakikadır kimse aramadı", "en": "Nobody has tried for {minutes} minutes"},
    Reason.asked: {"tr": "{minutes} dakikadır cevap bekliyor", "en": "Has waited for an answer for {minutes} minutes"},
    Reason.not_reached: {
        "tr": "Son {unanswered} denemeye cevap yok",
        "en": "No answer to the last {unanswered} attempts",
    },
    Reason.not_interested: {"tr": "İlgilenmiyor", "en": "Is not interested"},
    Reason.interested: {"tr": "İlgileniyor", "en": "Is interested"},
    Reason.keep_talking: {"tr": "Görüşme sürüyor", "en": "You are in conversation"},
    Reason.nothing_else: {
        "tr": "{days} gündür aynı durumda",
        "en": "It has stood like this for {days} days",
    },
}
"""Reasons in words, with the figures of the step in them."""

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


@dataclass(frozen=True, slots=True)
class Step:
    """One suggestion: what, why (a code with its figures), from when it is due (UTC, None: now), what it would need."""

    code: Code
    reason: Reason
    figures: Mapping[str, object] = field(default_factory=dict)
    due_at: datetime | None = None
    needs: tuple[Needed, ...] = ()

    def because(self, language: str) -> str:
        """Return the reason in words (`tr` or `en`)."""
        return BECAUSE[self.reason][language].format(**self.figures)
