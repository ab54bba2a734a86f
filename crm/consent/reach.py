"""Which numbers a firm calls at all: their kinds and countries. A call to a premium number costs, and pays somebody."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from crm import phone, tenant_settings
from crm.phone import Phone

Kind = Literal[
    "fixed_line", "mobile", "voip", "uan", "toll_free", "personal_number", "shared_cost", "premium_rate", "pager",
    "voicemail",
]  # fmt: skip
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]

NUMBER_KINDS: tenant_settings.Setting[list[Kind]] = tenant_settings.declare(
    "consent.number_kinds",
    Annotated[list[Kind], Field(min_length=1, max_length=10)],
    ["fixed_line", "mobile", "voip", "uan", "toll_free"],
    tr="Aranabilecek numara türleri",
    en="Kinds of numbers that are called",
)
COUNTRIES: tenant_settings.Setting[list[Country]] = tenant_settings.declare(
    "consent.number_countries",
    Annotated[list[Country], Field(max_length=250)],
    [],
    tr="Aranabilecek ülkeler (ISO 3166; boşsa hepsi)",
    en="Countries whose numbers are called (ISO 3166; none named: all)",
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a number says whether it is called: its country (None: it has none, as satellites) and its kinds."""

    country: str | None
    kinds: frozenset[str]


def of(number: Phone) -> Reach:
    """Return what a number says."""
    return Reach(phone.country_of(number), phone.kinds_of(number))


def is_called(reach: Reach, kinds: Collection[str], countries: Collection[str]) -> bool:
    """Tell whether a firm that calls these kinds and countries (none named: all) calls such a number."""
    return bool(reach.kinds & set(kinds)) and (not countries or reach.country in countries)
