"""The demo's world as plain data, read from `world.yaml`: countries with their people, campaigns with their ads."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

AD_ACCOUNT = {"meta": "act_734100250017", "google": "734-100-2517"}


@dataclass(frozen=True, slots=True)
class Country:
    """Where a lead comes from: calling code, ranges of numbers (# is any digit), zone, language, names, cities."""

    calling: str
    zone: str
    language: str
    ranges: tuple[str, ...]
    cities: tuple[str, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ad:
    """One creative."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class AdSet:
    """One audience: its ads and, in search, the words it answers."""

    id: str
    name: str
    ads: tuple[Ad, ...]
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign. `share` of all leads, `cost` per lead in euro, `quality` multiplies what becomes of a lead; it runs
    in the part of the month between `begins` and `ends` (0 to 1) and drifts over it by that factor."""

    platform: str
    id: str
    name: str
    treatment: str
    countries: Mapping[str, float]
    form: str
    share: float
    cost: float
    quality: float
    adsets: tuple[AdSet, ...] = ()
    begins: float = 0.0
    ends: float = 1.0
    drift: float = 0.0


@cache
def _read() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).with_name("world.yaml").read_text(encoding="utf-8"))


@cache
def countries() -> dict[str, Country]:
    """Return the countries by ISO 3166 code."""
    names = {key: {kind: tuple(words) for kind, words in lists.items()} for key, lists in _read()["names"].items()}
    return {
        code: Country(
            row["calling"], row["zone"], row["language"], tuple(row["ranges"]), tuple(row["cities"]),
            **names[row["names"]],
        )
        for code, row in _read()["countries"].items()
    }  # fmt: skip


@cache
def campaigns() -> tuple[Campaign, ...]:
    """Return the campaigns; ad sets and ads have ids of their own below the campaign's."""
    return tuple(
        Campaign(**{**row, "adsets": tuple(_adset(row["id"], *each) for each in enumerate(row.get("adsets", ()), 1))})
        for row in _read()["campaigns"]
    )


def _adset(campaign_id: str, place: int, row: Mapping[str, Any]) -> AdSet:
    own = f"{campaign_id}{place}"
    ads = tuple(Ad(f"{own}{number:02d}", name) for number, name in enumerate(row["ads"], 1))
    return AdSet(own, row["name"], ads, tuple(row.get("keywords", ())))
