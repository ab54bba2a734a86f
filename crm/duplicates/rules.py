"""Why two contacts may be one person, and how sure that makes us. No database, no clock."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from difflib import SequenceMatcher
from enum import StrEnum
from math import prod


class Reason(StrEnum):
    """One sign that two contacts are one person."""

    conflicting_keys = "conflicting_keys"
    """One enquiry carried the phone of one and the e-mail address of the other."""
    same_name = "same_name"
    """The same words, letter case, accents and order aside."""
    similar_name = "similar_name"
    """A slip of the pen apart."""
    same_country = "same_country"
    same_campaign_day = "same_campaign_day"
    """Both enquired through the same campaign on the same day."""
    phone_hint = "phone_hint"
    """Different numbers of the same country and the same last digits, as their masks show."""
    email_hint = "email_hint"
    """Different addresses with the same first letter and domain, as their masks show."""
    complementary = "complementary"
    """One is known by phone only, the other by e-mail only."""


WEIGHTS: dict[Reason, float] = {
    Reason.conflicting_keys: 0.95,
    Reason.same_name: 0.5,
    Reason.similar_name: 0.35,
    Reason.same_country: 0.1,
    Reason.same_campaign_day: 0.5,
    Reason.phone_hint: 0.4,
    Reason.email_hint: 0.4,
    Reason.complementary: 0.4,
}
"""How likely each sign alone makes it. They are combined as if independent: 1 - (1-a)(1-b)… (noisy or)."""
THRESHOLD = 0.6
"""From this score on a pair is shown to a person: no name alone is enough, nor any sign without a like name."""
ALIKE = 0.88
"""Similarity of two folded names (difflib's ratio, 2M/T) from which they are a slip apart."""
SHORTEST = 5
"""Letters below which two names are too short to be alike by accident of spelling."""
PREFIX = 3


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a contact without decrypting anything. `enquiries`: campaigns and the days (UTC) of enquiry."""

    name: str
    country: str | None = None
    phone: str | None = None
    email: str | None = None
    enquiries: Collection[tuple[str, date]] = field(default_factory=frozenset)


def ordered(name: str) -> str:
    """Return a folded name with its words in order: `yilmaz ayse` and `ayse yilmaz` meet."""
    return " ".join(sorted(name.split()))


def blocks(name: str) -> Iterator[str]:
    """Yield the keys under which a folded name is looked for; two names are compared when they share one.

    The whole name, and for names of several words each end of it with the beginning of the other, so that a slip in
    the later letters of either is bridged. A name of one word says too little.
    """
    words = ordered(name).split()
    if len(words) < 2:
        return
    yield " ".join(words)
    yield f"{words[0]} {words[-1][:PREFIX]}…"
    yield f"{words[0][:PREFIX]}… {words[-1]}"


def name_reason(first: str, second: str) -> Reason | None:
    """Return whether two folded names are the same or a slip apart."""
    one, other = ordered(first), ordered(second)
    if one == other:
        return Reason.same_name if one else None
    if min(len(one), len(other)) < SHORTEST:
        return None
    # The ratio depends on which comes first; the pair must not.
    alike = SequenceMatcher(None, min(one, other), max(one, other), autojunk=False)
    return Reason.similar_name if alike.real_quick_ratio() >= ALIKE and alike.ratio() >= ALIKE else None


def reasons(first: Person, second: Person) -> frozenset[Reason]:
    """Return the signs that two contacts with like names are one person; none when their names are not alike."""
    by_name = name_reason(first.name, second.name)
    if by_name is None:
        return frozenset()
    signs = {
        Reason.same_country: bool(first.country) and first.country == second.country,
        Reason.same_campaign_day: not set(first.enquiries).isdisjoint(second.enquiries),
        Reason.phone_hint: bool(first.phone) and first.phone == second.phone,
        Reason.email_hint: bool(first.email) and first.email == second.email,
        Reason.complementary: is_complementary(first, second) or is_complementary(second, first),
    }
    return frozenset({by_name, *(reason for reason, holds in signs.items() if holds)})


def is_complementary(first: Person, second: Person) -> bool:
    """Tell whether the first is known by phone only and the second by e-mail only."""
    return bool(first.phone and not first.email and second.email and not second.phone)


def score(found: Collection[Reason]) -> float:
    """Return how likely these signs make it that two contacts are one person, from 0 to 1."""
    return round(1 - prod(1 - WEIGHTS[reason] for reason in found), 4)


def is_news(found: Collection[str], known: Collection[str]) -> bool:
    """Tell whether there is a sign that was not known when a person said that these are two."""
    return not set(found) <= set(known)
