"""Public holidays of countries, from the `holidays` library: fixed and religious ones, and half days."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holidays import HolidayBase

HALF_DAYS_END = {"TR": 13 * 60}
"""The minute from which a country's half days are closed (Türkiye: Law 2429, from 13:00). Of others none are taken."""
LANGUAGES = {"tr": {"TR": "tr"}, "en": {"TR": "en_US"}}


@dataclass(frozen=True, slots=True)
class Holiday:
    """One public holiday; `closed_from` is a minute of the day, 0 for all of it. Labels by language.

    `is_estimated`: a religious holiday worked out ahead of the dates its authority has published; it may still move.
    """

    day: date
    closed_from: int
    labels: dict[str, str]
    is_estimated: bool = False


@cache
def knows(country: str) -> bool:
    """Tell whether a country's (ISO 3166 alpha-2) holidays are known."""
    import holidays  # on first use: it brings a table of every country

    return country in holidays.list_supported_countries(include_aliases=False)


def of(country: str, years: Collection[int]) -> list[Holiday]:
    """Return a country's public holidays of some years, by date; a whole day wins over a half one."""
    found = _named(country, years, "public", 0)
    if country in HALF_DAYS_END:
        found = _named(country, years, "half_day", HALF_DAYS_END[country]) | found
    return [found[day] for day in sorted(found)]


def _named(country: str, years: Collection[int], category: str, closed_from: int) -> dict[date, Holiday]:
    import holidays

    by_language = {
        language: holidays.country_holidays(
            country, years=list(years), categories=(category,), language=codes.get(country)
        )
        for language, codes in LANGUAGES.items()
    }
    english = by_language["en"]
    return {
        day: Holiday(
            day,
            closed_from,
            {language: names[day] for language, names in by_language.items()},
            is_estimated=_mark_of_estimates(english) in name,
        )
        for day, name in english.items()
    }


def _mark_of_estimates(names: "HolidayBase") -> str:
    """Return what the library puts behind the name of a holiday whose date it worked out itself."""
    return str(names.tr(getattr(names, "estimated_label", "%s (estimated)"))).replace("%s", "").strip()
