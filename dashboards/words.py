"""What the dashboards say, in Turkish and in English, and how numbers, shares, spans and instants are written."""

import math
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import streamlit as st
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent, get_currency_symbol

from dashboards import address
from dashboards.board_words import BOARDS
from dashboards.floor_words import FLOOR
from dashboards.timeline_words import TIMELINE

NOTHING = "–"
"""What stands where there is no data; a measured zero is 0."""

WORDS: dict[str, tuple[str, str]] = {
    "sign_in": ("Giriş", "Sign in"),
    "sign_out": ("Çıkış", "Sign out"),
    "tagline": ("Açık CRM ve çağrı merkezi", "Open CRM and contact centre"),
    "email": ("E-posta", "E-mail"),
    "password": ("Parola", "Password"),
    "language": ("Dil", "Language"),
    "funnel": ("Satış hunisi", "Sales funnel"),
    "health": ("API sağlığı", "API health"),
    "period": ("Dönem", "Period"),
    "platform": ("Platform", "Platform"),
    "campaign": ("Kampanya", "Campaign"),
    "form": ("Form", "Form"),
    "all": ("Tümü", "All"),
    "now": ("Şu anda", "Right now"),
    "today": ("Bugün gelen", "Received today"),
    "waiting": ("Sahipsiz", "Waiting for an owner"),
    "taking": ("Başvuru alan temsilci", "Agents taking leads"),
    "open": ("Toplam başvuru", "Leads in all"),
    "stage.lead": ("Başvuru", "Lead"),
    "stage.contacted": ("Görüşüldü", "Contacted"),
    "stage.qualified": ("Nitelikli", "Qualified"),
    "stage.proposal": ("Teklif", "Proposal"),
    "stage.sale": ("Satış", "Sale"),
    "leads": ("Başvuru", "Leads"),
    "conversion": ("Dönüşüm oranı", "Conversion rate"),
    "provisional": ("geçici", "provisional"),
    "mature": ("kesinleşmiş", "final"),
    "speed": ("İlk temas (medyan)", "Speed to lead"),
    "points": ("puan", "pts"),
    "funnel.help": (
        "Her aşamaya ulaşan lead döngüleri. Yüzde, bir önceki aşamadan geçenlerin payıdır. "
        "Aşamaya tıklayın: o aşamada duran başvurular aşağıda listelenir.",
        "Lead cycles that reached each stage. The share is of those in the stage before. "
        "Click a stage to list the leads that stand in it below.",
    ),
    "conversion.help": (
        "90 gün içinde satışa dönen döngülerin payı. Gri: en genç başvuru 90 günü doldurmadı, oran geçici.",
        "Share of cycles won within 90 days. Grey: the youngest lead is not 90 days old, the rate is provisional.",
    ),
    "conversion_by": ("Platforma göre dönüşüm", "Conversion by platform"),
    "share_axis": ("Beş dakika içinde aranma oranı", "Attempted within five minutes"),
    "breakdown": ("Kırılım", "Breakdown"),
    "by": ("Kırılım", "Break down by"),
    "list": ("Başvurular", "Leads"),
    "list.stage": ("Şu anda bu aşamada duranlar: {stage}", "Standing in this stage now: {stage}"),
    "list.all": ("Dönemde gelen tüm başvurular, en yenisi önce.", "All leads received in the period, newest first."),
    "list.pick": ("Bir satırı seçin: başvurunun geçmişi burada açılır.", "Pick a row: the lead's timeline opens here."),
    "list.empty": ("Bu seçime uyan başvuru yok.", "No lead fits this selection."),
    "list.forbidden": (
        "Rolünüz sayıları görür, kişileri değil; başvuru listesi bu nedenle kapalı.",
        "Your role sees numbers and no people, so the list of leads stays closed.",
    ),
    "more": ("Sonraki başvurular", "Next leads"),
    "back": ("Başa dön", "Back to the first"),
    "person": ("Kişi", "Person"),
    "phone": ("Telefon", "Phone"),
    "status": ("Durum", "Status"),
    "owner": ("Sorumlu", "Owner"),
    "received": ("Geliş", "Received"),
    "timeline": ("Zaman çizgisi", "Timeline"),
    "timeline.empty": ("Henüz bir şey olmadı.", "Nothing has happened yet."),
    "by_system": ("Sistem", "System"),
    "empty": (
        "Bu dönemde ve bu seçimle başvuru yok. Dönemi genişletin veya filtreleri kaldırın.",
        "There are no leads in this period and selection. Widen the period or clear the filters.",
    ),
    "not_published": (
        "Rakamlar henüz hazır değil: veri hattı ilk kez çalışıyor olabilir. `santral pipeline run` hemen hazırlar.",
        "The figures are not built yet: the pipeline may be on its first run. `santral pipeline run` builds them now.",
    ),
    "no_api": (
        "API yanıt vermiyor ({url}). Çalışınca bu sayfa kendiliğinden dolar.",
        "The API does not answer ({url}). This page fills itself once it does.",
    ),
    "refused": ("API bu soruyu yanıtlamadı: {message}", "The API did not answer this question: {message}"),
    "forbidden": (
        "Bu sayfa rolünüze açık değil. Açık olanlar menüde.",
        "This page is not open to your role. The menu has those that are.",
    ),
    "signed_out": (
        "Oturumunuz sona erdi; lütfen yeniden giriş yapın.",
        "Your session has ended; please sign in again.",
    ),
    "health.help": (
        "Her yolun istek sayısı, sunucu hatası ve süreleri. Kendini on saniyede bir yeniler.",
        "Requests, server errors and durations of each route. It refreshes itself every ten seconds.",
    ),
    "health.empty": ("Bu sürede istek yok.", "There were no requests in this time."),
    "1h": ("Son saat", "Last hour"),
    "24h": ("Son 24 saat", "Last 24 hours"),
    "requests": ("İstek", "Requests"),
    "errors": ("Sunucu hatası", "Server errors"),
    "slowest": ("En yavaş yol (p95)", "Slowest route (p95)"),
    "route": ("Yol", "Route"),
    "error_rate": ("Hata oranı", "Error rate"),
    "p50_ms": ("Medyan, ms", "Median, ms"),
    "p95_ms": ("p95, ms", "p95, ms"),
    "durations": ("Yollara göre süre, milisaniye", "Durations by route, milliseconds"),
    "p50": ("medyan", "median"),
    "p95": ("p95", "p95"),
    "unknown": ("bilinmiyor", "unknown"),
    "no_campaign": ("Kampanyasız", "No campaign"),
    "role.admin": ("Yönetici", "Administrator"),
    "role.sales_manager": ("Satış müdürü", "Sales manager"),
    "role.sales_agent": ("Satış temsilcisi", "Sales agent"),
    "role.compliance_auditor": ("Uyum denetçisi", "Compliance auditor"),
    "role.analyst": ("Analist", "Analyst"),
    "organic": ("Organik", "Organic"),
    "referral": ("Tavsiye", "Referral"),
    "meta": ("Meta", "Meta"),
    "google": ("Google", "Google"),
    **FLOOR,
    **BOARDS,
    **TIMELINE,
}

LANGUAGES = {"tr": "Türkçe", "en": "English"}
DATES = {"tr": "DD.MM.YYYY", "en": "DD/MM/YYYY"}
LOCALES = {"tr": "tr_TR", "en": "en_GB"}
ZONE = ZoneInfo("Europe/Istanbul")


def language() -> str:
    """Return the language that the address names, else Turkish."""
    return "en" if st.query_params.get("lang") == "en" else "tr"


def choose_language(width: Literal["content", "stretch"] = "content") -> None:
    """Offer the languages; the choice stays in the address."""
    address.one_of(
        say("language"), list(LANGUAGES), "lang", lambda code: LANGUAGES[code], width=width,
        label_visibility="collapsed",
    )  # fmt: skip


def say(key: str, **values: object) -> str:
    """Return a text in the visit's language."""
    return WORDS[key][language() == "en"].format(**values)


def name_of(group: str, code: str | None) -> str:
    """Return what people call a code of a group (`outcome`, `reason` …); one we have no word for stays as it is."""
    if not code:
        return ""
    texts = WORDS.get(f"{group}.{code}" if group else code)
    return texts[language() == "en"] if texts else code.replace("_", " ")


def _locale() -> str:
    return LOCALES[language()]


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with the visit's separators."""
    return NOTHING if value is None else format_decimal(round(value, digits), locale=_locale())


def exact(value: float | None, digits: int) -> str:
    """Return a number with all its decimals, so that those of a column stand one below the other."""
    return NOTHING if value is None else format_decimal(value, f"#,##0.{'0' * digits}", locale=_locale())


def capital(text: str) -> str:
    """Return a text with a capital letter first, as the visit's language writes it."""
    first = {"i": "İ"}.get(text[:1], text[:1].upper()) if language() == "tr" else text[:1].upper()
    return first + text[1:]


def share(value: float | None, digits: int = 1) -> str:
    """Return a ratio as a percentage."""
    if value is None:
        return NOTHING
    shape = "#,##0" + ("." + "0" * digits if digits else "")
    return format_percent(value, ("%" + shape) if language() == "tr" else (shape + "%"), locale=_locale())


def money(value: float | None, currency: str | None) -> str:
    """Return an amount of money; whole units from a hundred on."""
    if value is None:
        return NOTHING
    text = format_decimal(abs(value), "#,##0" if abs(value) >= 100 else "#,##0.00", locale=_locale())
    return f"{'-' if value < 0 else ''}{sign_of(currency)}{text}"


def sign_of(currency: str | None) -> str:
    """Return what stands before an amount of a currency: its short sign in both languages, else its code."""
    if currency is None:
        return ""
    sign = str(get_currency_symbol(currency, locale=LOCALES["tr"]))
    return f"{sign}\u00a0" if sign[-1].isalpha() else sign


def span(seconds: float | None, *, in_days: bool = True) -> str:
    """Return a duration in the unit people would use; `in_days` False: hours at most, as business time is counted."""
    if seconds is None:
        return NOTHING
    units = {"tr": ("sn", "dk", "sa", "gün"), "en": ("s", "min", "h", "days")}[language()]
    for unit, size, top in zip(
        units, (1, 60, 3600, 86400), (90, 5400, 129600 if in_days else math.inf, math.inf), strict=True
    ):
        if seconds < top:
            value = seconds / size
            return f"{number(value, 0 if value >= 10 else 1)} {unit}"
    return NOTHING


def clock(seconds: float | None) -> str:
    """Return a running time as a clock shows it; from a day on, in days."""
    if seconds is None or seconds >= 86400:
        return span(seconds)
    minutes, second = divmod(max(0, int(seconds)), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def instant(text: str | None, *, shape: str = "d MMM HH:mm") -> str:
    """Return an instant of the API (ISO 8601, with its zone) on the clinic's clock."""
    if text is None:
        return NOTHING
    return format_datetime(datetime.fromisoformat(text).astimezone(ZONE), shape, locale=_locale())


def day_of(text: str) -> str:
    """Return a business day of the API (ISO 8601)."""
    return format_date(date.fromisoformat(text[:10]), "d MMM", locale=_locale())


def period_of(text: str, grain: str) -> str:
    """Return what people call a period that begins on a business day of the API."""
    if grain in ("month", "quarter"):
        return format_date(date.fromisoformat(text[:10]), "MMM y", locale=_locale())
    return day_of(text)
