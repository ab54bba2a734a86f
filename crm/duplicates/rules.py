"""Why two contacts may be one person, and how sure that makes us. No database, no clock."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import SequenceMatcher
from enum import StrEnum
from math import prod
from uuid import UUID


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
    Reason.same_country: 0.05,
    Reason.same_campaign_day: 0.45,
    Reason.phone_hint: 0.25,
    Reason.email_hint: 0.1,
    Reason.complementary: 0.15,
}
"""How likely each sign alone makes it. They are combined as if independent: 1 - (1-a)(1-b)… (noisy or)."""
THRESHOLD = 0.6
"""From this score on a pair is shown to a person: no name alone is enough, nor any sign without a like name.

Precision goes before recall: who is asked in vain stops looking. Weights and threshold are chosen on a population of
common names in `tests/crm/duplicates/test_precision.py`: of seven pairs that are shown six are one person.
"""
ALIKE = 0.88
"""Similarity of two folded names (difflib's ratio, 2M/T) from which they are a slip apart."""
SHORTEST = 5
"""Letters below which two names are too short to be alike by accident of spelling."""
PREFIX = 3
RARE = 2
"""Namesakes up to which a name says all it can; of more, its weight falls with their number."""
WORD = re.compile(r"[^\W_]+")
TITLES = frozenset(
    ("av", "bay", "bayan", "bey", "dis", "doc", "dr", "dt", "frau", "hanim", "herr", "madame", "mlle", "mme", "mr",
     "mrs", "ms", "op", "prof", "sayin", "sn", "sr", "sra", "uzm")
)  # fmt: skip
"""Folded words that are said to people and are no names."""


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a contact without decrypting anything. `enquiries`: campaigns and the days (UTC) of enquiry."""

    name: str
    country: str | None = None
    phone: str | None = None
    email: str | None = None
    enquiries: Collection[tuple[str, date]] = field(default_factory=frozenset)


def ordered(name: str) -> str:
    """Return a folded name with its words in order, without titles: `yilmaz, dr. ayse` and `ayse yilmaz` meet."""
    words = WORD.findall(name)
    return " ".join(sorted([word for word in words if word not in TITLES] or words))


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


def score(found: Collection[Reason], namesakes: int = 1) -> float:
    """Return how likely these signs make it that two contacts are one person, from 0 to 1.

    `namesakes`: how many others bear the name of one of them. A name that many bear makes nobody the same person.
    """
    return round(1 - prod(1 - _weight(reason, namesakes) for reason in found), 4)


def _weight(reason: Reason, namesakes: int) -> float:
    by_name = reason in (Reason.same_name, Reason.similar_name)
    return WEIGHTS[reason] * (RARE / max(RARE, namesakes) if by_name else 1)


def namesakes(pairs: Iterable[tuple[UUID, UUID]], people: Mapping[UUID, Person]) -> Counter[UUID]:
    """Return of how many others each is a namesake among these pairs."""
    names = {which: ordered(person.name) for which, person in people.items()}
    same = [pair for pair in pairs if all(each in names for each in pair) and len({names[each] for each in pair}) == 1]
    return Counter(each for pair in same for each in pair)


def is_news(found: Collection[str], known: Collection[str]) -> bool:
    """Tell whether there is a sign that was not known when a person said that these are two."""
    return not set(found) <= set(known)
