"""Invented people: names by country, and phone numbers that are valid in form and, as far as can be, nobody's.

Where a regulator keeps a range for film and radio that counts as valid, numbers come from it, else from blocks whose
subscriber part begins with zeros (world.yaml). Addresses stand under `example.com` and its sisters (RFC 2606).
"""

from dataclasses import dataclass, replace
from random import Random

from cli.demo import world
from cli.demo.world import Country
from crm.names import fold

MAIL = ("example.com", "example.org", "example.net")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist."""

    name: str
    phone: str
    email: str
    country: str
    language: str
    city: str


class People:
    """Makes people from one stream of chance; no two share a number while the ranges last."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._used: set[str] = set()

    def somebody(self, code: str) -> Person:
        """Return a new person of a country (ISO 3166)."""
        rng, country = self._rng, world.countries()[code]
        given = rng.choice(country.given)
        family = rng.choice([name for name in country.family if _is_latin(name) == _is_latin(given)])
        plain = "".join(
            c for c in fold(f"{given}.{family}").replace(" ", "") if c.isascii() and (c.isalnum() or c in ".-")
        )
        address = f"{plain.strip('.-') or 'guest'}.{rng.randrange(10**6):06d}@{rng.choice(MAIL)}"
        number = self._number(country)
        return Person(f"{given} {family}", number, address, code, country.language, rng.choice(country.cities))

    def otherwise(self, person: Person) -> Person:
        """Return the same person with another number and another address: hardly more than the name tells who it is."""
        return replace(person, phone=self._number(world.countries()[person.country]), email=f"work.{person.email}")

    def _number(self, country: Country) -> str:
        for _ in range(60):
            shape = self._rng.choice(country.ranges)
            digits = "".join(str(self._rng.randrange(10)) if c == "#" else c for c in shape)
            number = f"+{country.calling}{digits}"
            if number not in self._used:
                break
        self._used.add(number)
        return number


def _is_latin(name: str) -> bool:
    return name[0] < "\u0370"
