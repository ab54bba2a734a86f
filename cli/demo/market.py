"""The clinic's market: campaigns on Meta and Google with their ad sets, ads, forms and keywords, when enquiries arrive,
and what each day of advertising costs. Plain data and arithmetic over a stream of chance; no database, no clock."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from cli.demo import hours, world
from cli.demo.names import People, Person
from cli.demo.world import Ad, AdSet, Campaign


@dataclass(frozen=True, slots=True)
class Arrival:
    """One enquiry as the world will send it. `number` is its place in the month."""

    number: int
    acquired_at: datetime
    received_at: datetime
    person: Person
    campaign: Campaign
    adset: AdSet | None
    ad: Ad | None
    keyword: str | None
    consents: tuple[tuple[str, str], ...]
    answers: Mapping[str, str] = field(default_factory=dict)
    is_test: bool = False
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class AdDay:
    """What one ad (or ad group) did on one day in the ad account's zone. Money in minor units of euro."""

    day: date
    campaign: Campaign
    adset: AdSet
    ad: Ad
    spend: int
    impressions: int
    clicks: int
    leads: int


_DAY = (
    0.6,
    0.35,
    0.22,
    0.16,
    0.15,
    0.2,
    0.4,
    0.75,
    1.05,
    1.25,
    1.35,
    1.35,
    1.4,
    1.3,
    1.2,
    1.15,
    1.2,
    1.3,
    1.5,
    1.75,
    2.0,
    2.1,
    1.8,
    1.1,
)
"""How often people fill in forms at each hour of their own day."""
_WEEK = (1.02, 0.98, 0.95, 0.96, 0.94, 1.08, 1.16)
"""The same by weekday, Monday first."""

REPEATS = 0.035
"""Share of enquiries of people who have enquired before."""
OTHERWISE = 0.3
"""Share of those who then give another number and address, so that somebody has to look whether they are the same."""
BOXES = (("call", 0.9, 0.01), ("whatsapp", 0.86, 0.02), ("email", 0.62, 0.07), ("sms", 0.45, 0.05))
"""What a form asks leave for: channel, share of yes, share of no."""


def intensity(campaign: Campaign, day: date, progress: float) -> float:
    """Return how busy a campaign's day is: 1 on an ordinary one. `progress` runs from 0 to 1 over the month."""
    if not campaign.begins <= progress <= campaign.ends:
        return 0.0
    season = 1 + 0.08 * math.sin(2 * math.pi * (progress * 30 / 9))
    holiday = 0.7 if hours.holiday(day) else 1.0
    return _WEEK[day.weekday()] * season * holiday * (1 + campaign.drift * (progress - 0.5) * 2)


class Market:
    """One month of enquiries, repeatable from a seed."""

    def __init__(self, *, leads: int, since: datetime, until: datetime, seed: int) -> None:
        self.since, self.until, self.seed = since, until, seed
        self.arrivals = self._arrivals(leads)

    def _progress(self, at: datetime) -> float:
        return (at - self.since) / (self.until - self.since)

    def _days(self) -> list[date]:
        first, last = (instant.astimezone(hours.ZONE).date() for instant in (self.since, self.until))
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def _arrivals(self, leads: int) -> list[Arrival]:
        rng = Random(f"arrivals {self.seed}")
        people = People(Random(f"people {self.seed}"))
        days, last = self._days(), max(len(self._days()) - 1, 1)
        weights = [[intensity(each, day, place / last) for place, day in enumerate(days)] for each in world.campaigns()]
        calm = [each.share * sum(row) / len(row) for each, row in zip(world.campaigns(), weights, strict=True)]
        drawn: list[tuple[datetime, Campaign, str]] = []
        while len(drawn) < leads:
            which = rng.choices(range(len(world.campaigns())), calm)[0]
            campaign = world.campaigns()[which]
            country = rng.choices(list(campaign.countries), list(campaign.countries.values()))[0]
            at = self._moment(rng, rng.choices(days, weights[which])[0], ZoneInfo(world.countries()[country].zone))
            if self.since <= at < self.until - timedelta(minutes=1):
                drawn.append((at, campaign, country))
        drawn.sort(key=lambda each: each[0])
        made: list[Arrival] = []
        for at, campaign, country in drawn:
            made.append(self._arrival(rng, people, at, campaign, country, made))
        return [*made, *self._tests(rng, len(made))]

    @staticmethod
    def _moment(rng: Random, day: date, zone: ZoneInfo) -> datetime:
        hour = rng.choices(range(24), _DAY)[0]
        local = datetime(day.year, day.month, day.day, hour, rng.randrange(60), rng.randrange(60), tzinfo=zone)
        return local.astimezone(hours.UTC)

    def _arrival(
        self, rng: Random, people: People, at: datetime, campaign: Campaign, country: str, made: list[Arrival]
    ) -> Arrival:
        number, repeats = len(made), None
        person = people.somebody(country)
        if made and rng.random() < REPEATS:
            # Impatience brings people back within hours, doubt after days.
            back = rng.randrange(1, min(len(made), 40 if rng.random() < 0.5 else 1500) + 1)
            earlier = made[-back]
            repeats, person = earlier.number, earlier.person
            is_otherwise = rng.random() < OTHERWISE
            if is_otherwise:
                person = people.otherwise(person)
            if is_otherwise or person.country not in campaign.countries:
                campaign = earlier.campaign
        adset = rng.choice(campaign.adsets) if campaign.adsets else None
        # A webhook or a poll brings it a little later; now and then the platform is late.
        lag = rng.lognormvariate(1.1, 0.7) if rng.random() < 0.985 else rng.uniform(120, 900)
        received = min(at + timedelta(seconds=lag), self.until - timedelta(seconds=rng.uniform(1, 40)))
        ad = rng.choice(adset.ads) if adset else None
        keyword = rng.choice(adset.keywords) if adset and adset.keywords else None
        said, told = consents(rng), answers(rng, campaign)
        return Arrival(number, at, max(received, at), person, campaign, adset, ad, keyword, said, told, repeats=repeats)

    def _tests(self, rng: Random, number: int) -> Iterator[Arrival]:
        """Marketing tries its forms now and then; test leads are flagged and counted nowhere."""
        if not number:
            return
        people = People(Random(f"tests {self.seed}"))
        for week in range(max(1, (self.until - self.since).days // 7)):
            at = self.since + timedelta(days=7 * week, hours=9, minutes=rng.randrange(240))
            if at + timedelta(minutes=2) < self.until:
                campaign = world.campaigns()[week % 7]
                yield Arrival(
                    number + week, at, at + timedelta(seconds=3), people.somebody("TR"), campaign, campaign.adsets[0],
                    campaign.adsets[0].ads[0], None, (), {}, is_test=True,
                )  # fmt: skip

    def ad_days(self) -> Iterator[AdDay]:
        """Yield each running ad's day: what it cost follows the leads it brought, with the noise of an auction."""
        rng = Random(f"spend {self.seed}")
        days, last = self._days(), max(len(self._days()) - 1, 1)
        brought: dict[tuple[date, str], int] = {}
        for arrival in self.arrivals:
            if arrival.ad and not arrival.is_test:
                key = (arrival.acquired_at.astimezone(hours.ZONE).date(), arrival.ad.id)
                brought[key] = brought.get(key, 0) + 1
        volume = len(self.arrivals) / len(days)
        for place, day in enumerate(days):
            for campaign in world.campaigns():
                running = intensity(campaign, day, place / last)
                ads = [(adset, ad) for adset in campaign.adsets for ad in adset.ads]
                for adset, ad in ads if running else ():
                    leads = brought.get((day, ad.id), 0)
                    expected = campaign.share * running * volume / len(ads)
                    spend = campaign.cost * (0.6 * leads + 0.4 * expected) * rng.uniform(0.85, 1.18)
                    clicks = max(
                        leads, round(spend / rng.uniform(0.35, 0.75) / (3.2 if campaign.platform == "google" else 1))
                    )
                    impressions = round(
                        clicks / rng.uniform(0.011, 0.024) / (0.3 if campaign.platform == "google" else 1)
                    )
                    yield AdDay(day, campaign, adset, ad, round(spend * 100), impressions, clicks, leads)


def consents(rng: Random) -> tuple[tuple[str, str], ...]:
    """Return what the form's boxes say: channel and `granted` or `denied`; a box nobody ticked says nothing."""
    said = []
    for channel, granted, denied in BOXES:
        chance = rng.random()
        if chance < granted:
            said.append((channel, "granted"))
        elif chance < granted + denied:
            said.append((channel, "denied"))
    return tuple(said)


def answers(rng: Random, campaign: Campaign) -> dict[str, str]:
    """Return the answers to a form's own questions."""
    if campaign.treatment == "hair":
        return {
            "norwood": rng.choice(("2", "3", "3v", "4", "5", "6")),
            "when": rng.choice(("this month", "in 3 months", "this year", "just looking")),
        }
    return {
        "treatment": rng.choice(("implant", "veneer", "crown", "whitening")),
        "when": rng.choice(("this month", "in 3 months", "this year", "just looking")),
    }
