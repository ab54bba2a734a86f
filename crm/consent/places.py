"""Where a person may be, from what may be known without unsealing anything: their country, and their number's.

A number handed in by whoever is about to dial it narrows the zones; without it every zone of the country counts.
Countries and their zones are the CLDR's (through Babel), numbers and theirs libphonenumber's.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from babel.core import get_global
from phonenumbers import timezone

from crm.phone import Phone

Where = tuple[str, str]
"""A country and a zone (IANA name); an unknown country is an empty text."""


@cache
def zones_of(country: str) -> tuple[str, ...]:
    """Return the zones of a country (ISO 3166), or nothing where it has none or is not known."""
    return tuple(sorted(zone for zone, territory in get_global("zone_territories").items() if territory == country))


def countries_of_mask(masked: str) -> tuple[str, ...]:
    """Return the countries of a masked number (`+90 ••• …`): several where they share a code, none for satellites."""
    code = masked.partition(" ")[0].lstrip("+")
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()) if code.isdecimal() else ()
    return tuple(region for region in regions if region != "001")


@lru_cache(maxsize=4096)
def of_contact(country: str | None, masked: str | None, number: Phone | None, *, home: str) -> frozenset[Where]:
    """Return everywhere a person may be; `home` is the zone that counts where nothing else is known.

    Their country and their number's both count: who moved took the number along.
    """
    if number is not None:
        found = _of_number(number)
    else:
        from_mask = countries_of_mask(masked) if masked else ()
        # A code that several countries share says less than the country we were told, where that is one of them.
        found = _all_zones(() if country in from_mask else from_mask)
    if country is not None and country not in {each for each, _ in found}:
        found |= _all_zones([country])
    return frozenset((each, zone or home) for each, zone in found) or frozenset({("", home)})


def _all_zones(countries: Iterable[str]) -> set[Where]:
    return {(country, zone) for country in countries for zone in zones_of(country) or ("",)}


def _of_number(number: Phone) -> set[Where]:
    """Return the zones of a number; a number that may be anywhere in its country counts in all of it."""
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_number(parsed)
    if region is None or region == "001":
        return set()
    told = set(timezone.time_zones_for_number(parsed)) & set(zones_of(region))
    return {(region, zone) for zone in told} or _all_zones([region])


@cache
def zone(name: str) -> ZoneInfo:
    """Return a zone by its IANA name."""
    return ZoneInfo(name)
