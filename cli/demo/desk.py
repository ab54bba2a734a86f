"""What agents do with leads. Pure: a desk turns the leads on its agenda into acts, by each lead's own stream of chance,
hour after hour; nothing here knows the database.

A lead is tried until somebody answers or patience ends; who answers is interested or not; the interested are advised,
qualified, offered a price, and some buy. The chances drift over the month and depend on the agent, the hour, and on how
fast the lead was called.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from cli.demo import hours, world
from cli.demo.acts import Act, Cancel, LookAfter, Move, Offer, Refusal, Reopen, Sale, Talk
from cli.demo.agenda import Agenda, Agent, Case
from crm.leads.rules import Channel, Direction, Status
from crm.money import Money

LAST_ATTEMPT = 5
LONGEST = timedelta(minutes=20)
"""No piece of work is longer: one that could outlast the month is not begun."""

NOTES = {
    "tr": (
        "Fotoğraf gönderecek, akşam tekrar aranacak.",
        "Eşiyle konuşup dönüş yapacak.",
        "Taksit imkânı soruyor.",
        "Tarih olarak gelecek ayı düşünüyor.",
        "Daha önce başka klinikten fiyat almış.",
        "Transfer ve otel dahil mi, sordu.",
    ),
    "en": (
        "Will send photos tonight.",
        "Comparing with a clinic at home; wants the surgeon's name.",
        "Asked what the hotel includes.",
        "Prefers dates next month.",
        "Wants to talk it over with the family.",
        "Afraid of the flight; sent the patient guide.",
    ),
}

WHY_LOST = (
    ("price", 0.34), ("competitor", 0.2), ("timing", 0.18), ("travel", 0.12), ("health", 0.08), ("no_answer", 0.08)
)  # fmt: skip
PRICES: dict[tuple[str, str], tuple[str, int, int]] = {
    ("hair", "TR"): ("TRY", 45_000, 95_000),
    ("hair", "GB"): ("GBP", 1_750, 2_950),
    ("hair", "euro"): ("EUR", 1_990, 3_490),
    ("hair", "dollar"): ("USD", 2_200, 3_900),
    ("dental", "TR"): ("TRY", 38_000, 210_000),
    ("dental", "GB"): ("GBP", 2_400, 7_200),
    ("dental", "euro"): ("EUR", 2_600, 8_400),
    ("dental", "dollar"): ("USD", 2_900, 9_000),
}
CHECK_INS = (1, 7, 30)
"""Days after the treatment on which the clinic asks, as far as a month can show."""
DOLLAR = frozenset({"US", "CA", "AU", "SA", "AE", "KW", "QA", "IQ", "RU", "AZ"})


def price(rng: Random, treatment: str, country: str) -> Money:
    """Return what a treatment costs a patient of a country, in steps of fifty."""
    region = country if country in ("TR", "GB") else "dollar" if country in DOLLAR else "euro"
    currency, low, high = PRICES[treatment, region]
    return Money.of(50 * round(rng.triangular(low, high, low + (high - low) * 0.3) / 50), currency)


@dataclass
class Desk:
    """One agent at work from `since` to `until`; `take` leads, then `work` up to an instant and get what was done."""

    agent: Agent
    since: datetime
    until: datetime
    free: datetime = field(init=False)
    agenda: Agenda = field(init=False)
    acts: list[Act] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free = self.since
        self.agenda = Agenda(self.agent, self.since)

    def take(self, case: Case, at: datetime) -> None:
        """Put a lead on the desk."""
        self.agenda.put(case, at)

    def work(self, until: datetime) -> list[Act]:
        """Return what the agent does up to an instant, in order of time."""
        self.acts = []
        while start := self.agenda.next_start(self.free):
            if start >= until or start + LONGEST > self.until:
                break
            case = self.agenda.take_next(start)
            spent = getattr(self, f"_{case.step}")(case, start)
            self.free = start + spent + timedelta(minutes=case.rng.expovariate(1 / 1.2) / self.agent.pace)
        return sorted(self.acts, key=lambda act: act.at)

    def _move(self, case: Case, at: datetime, to: Status, reason: str | None = None) -> None:
        if case.status is not to:
            self.acts.append(Move(at, case.number, to, reason))
            case.status = to

    def _talk(
        self, case: Case, at: datetime, channel: Channel, outcome: str, *,
        direction: Direction = Direction.outbound, happened: datetime | None = None,
    ) -> None:  # fmt: skip
        note = None
        if outcome in ("answered", "replied") and case.rng.random() < 0.15:
            note = case.rng.choice(NOTES["tr" if case.arrival.person.country == "TR" else "en"])
        self.acts.append(Talk(at, case.number, channel, direction, outcome, note, happened))

    def _progress(self, at: datetime) -> float:
        return (at - self.since) / (self.until - self.since)

    def _reach(self, case: Case, at: datetime) -> float:
        """Return the chance that somebody answers now."""
        local = at.astimezone(ZoneInfo(world.countries()[case.arrival.person.country].zone))
        hour = 0.6 if local.hour < 8 else 0.9 if local.hour < 17 else 1.15 if local.hour < 21 else 0.8
        waited = (at - case.arrival.received_at).total_seconds() / 60
        fresh = 1.28 if waited < 5 else 1.12 if waited < 60 else 1.0 if waited < 360 else 0.86
        drift = 1 + 0.1 * math.sin(2 * math.pi * self._progress(at) * 2.1) - 0.08 * self._progress(at)
        return min(0.92, 0.5 * hour * fresh * drift * 0.86**case.attempts * self.agent.skill**0.4)

    def _quality(self, case: Case) -> float:
        return case.arrival.campaign.quality * self.agent.skill

    def _attempt(self, case: Case, at: datetime) -> timedelta:
        """Try to reach somebody, by telephone or with a message first."""
        rng, agent = case.rng, self.agent
        # Opening the lead takes a moment, longer for the slow.
        at += timedelta(seconds=rng.uniform(15, 60) / agent.pace)
        said = dict(case.arrival.consents)
        writes = rng.random() < (0.15 if case.arrival.person.country == "TR" else 0.36)
        reached = rng.random() < self._reach(case, at)
        case.attempts += 1
        if rng.random() < 0.028 and case.attempts == 1:
            self._talk(case, at, Channel.call, "wrong_number")
            self._move(case, at + timedelta(seconds=40), Status.wrong_number)
            return timedelta(minutes=1.5)
        if writes and said.get("whatsapp") == "granted":
            self._talk(case, at, Channel.whatsapp, "sent")
            self._move(case, at + timedelta(seconds=10), Status.no_answer)
            if reached:
                case.replied_at = at + timedelta(minutes=rng.lognormvariate(2.6, 1.1))
                self.agenda.put(case, case.replied_at, "reply")
            else:
                self._again(case, at)
            return timedelta(minutes=rng.uniform(1, 2.5) / agent.pace)
        if not reached:
            self._talk(case, at, Channel.call, rng.choices(("no_answer", "busy", "voicemail"), (0.74, 0.16, 0.1))[0])
            self._move(case, at + timedelta(seconds=45), Status.no_answer)
            self._again(case, at)
            return timedelta(minutes=rng.uniform(0.8, 1.6) / agent.pace)
        return self._conversation(case, at)

    def _again(self, case: Case, at: datetime) -> None:
        """Plan the next attempt: the same day, then over days; after the last one the lead is given up."""
        if case.attempts >= LAST_ATTEMPT:
            self.agenda.put(case, at + timedelta(days=1), "give_up")
            return
        hours_ahead = (2.2, 6, 24, 50)[case.attempts - 1] * case.rng.uniform(0.7, 1.4)
        self.agenda.put(case, at + timedelta(hours=hours_ahead), "attempt")

    def _reply(self, case: Case, at: datetime) -> timedelta:
        """Answer somebody who wrote back."""
        self._talk(case, at, Channel.whatsapp, "replied", direction=Direction.inbound, happened=case.replied_at)
        return self._conversation(case, at + timedelta(seconds=20), Channel.whatsapp)

    def _conversation(self, case: Case, at: datetime, channel: Channel = Channel.call) -> timedelta:
        """Speak for the first time, and learn whether there is any interest."""
        rng = case.rng
        spent = timedelta(minutes=min(14, rng.lognormvariate(1.45, 0.45)) / self.agent.pace**0.5)
        interest = min(0.85, 0.5 * self._quality(case) ** 0.8)
        chance = rng.random()
        self._talk(case, at, channel, "callback_requested" if interest < chance < interest + 0.14 else "answered")
        end = at + spent
        if chance < interest:
            self._move(case, end, Status.interested)
            self.agenda.put(case, end + timedelta(hours=rng.choice((2, 5, 20, 26, 46, 70))), "advise")
        elif chance < interest + 0.14:
            self._move(case, end, Status.contacted)
            self.agenda.put(case, end + timedelta(hours=rng.uniform(3, 40)), "advise")
        elif chance > 0.985:
            self._move(case, end, Status.blocked, "opted_out")
        else:
            self._move(case, end, Status.not_interested)
            if rng.random() < 0.6:
                self.agenda.put(case, end + timedelta(hours=rng.uniform(20, 60)), "give_up")
        return spent + timedelta(seconds=40)

    def _advise(self, case: Case, at: datetime) -> timedelta:
        """Advise the interested, who send photographs and become qualified, or cool down."""
        rng = case.rng
        case.tries += 1
        if rng.random() > min(0.95, self._reach(case, at) * 1.5):
            self._talk(case, at, Channel.call, "no_answer")
            self.agenda.put(case, at + timedelta(hours=rng.uniform(4, 30)), "advise" if case.tries < 4 else "lose")
            return timedelta(minutes=1.2)
        self._talk(case, at, rng.choice((Channel.call, Channel.call, Channel.whatsapp)), "answered")
        spent = timedelta(minutes=rng.uniform(5, 15) / self.agent.pace**0.5)
        if rng.random() < min(0.85, 0.44 * self._quality(case) ** 0.6):
            self._move(case, at + spent, Status.qualified)
            self.agenda.put(case, at + spent + timedelta(hours=rng.uniform(2, 34)), "offer")
        elif case.tries < 3:
            self.agenda.put(case, at + spent + timedelta(hours=rng.uniform(24, 90)), "advise")
        else:
            self.agenda.put(case, at + spent + timedelta(hours=24), "lose")
        return spent

    def _offer(self, case: Case, at: datetime) -> timedelta:
        """Send the treatment plan and its price."""
        if case.rng.random() < 0.14:
            self.agenda.put(case, at + timedelta(hours=20), "lose")
            return timedelta(minutes=2)
        money = price(case.rng, case.arrival.campaign.treatment, case.arrival.person.country)
        self._talk(case, at, case.rng.choice((Channel.whatsapp, Channel.email)), "sent")
        self._quote(case, at + timedelta(minutes=1), money)
        self._move(case, at + timedelta(minutes=2), Status.proposal)
        self.agenda.put(case, at + timedelta(hours=case.rng.lognormvariate(4.2, 0.7)), "close")
        return timedelta(minutes=case.rng.uniform(4, 9))

    def _quote(self, case: Case, at: datetime, money: Money) -> None:
        days = case.rng.choice((14, 21, 30))
        self.acts.append(Offer(at, case.number, money, case.arrival.campaign.treatment, days))
        case.price, case.priced_until = money, at + timedelta(days=days)

    def _close(self, case: Case, at: datetime) -> timedelta:
        """Ask for the decision; who hesitates may get a better price."""
        rng = case.rng
        case.tries += 1
        self._talk(case, at, Channel.call, "answered")
        end = at + timedelta(minutes=rng.uniform(3, 10))
        if rng.random() < min(0.7, 0.28 * self._quality(case) ** 0.7):
            self._sell(case, end)
        elif case.tries < 5 and rng.random() < 0.45:
            if rng.random() < 0.4 and case.price:
                self._quote(case, end, Money(case.price.minor * 95 // 100, case.price.currency))
            self.agenda.put(case, end + timedelta(hours=rng.uniform(30, 110)), "close")
        else:
            self.agenda.put(case, end + timedelta(hours=rng.uniform(0, 4)), "lose")
        return end - at

    def _sell(self, case: Case, at: datetime) -> None:
        """Take the deposit and agree on the day: people from near come soon, those from far plan their journey."""
        rng, arrival = case.rng, case.arrival
        money = case.price or price(rng, arrival.campaign.treatment, arrival.person.country)
        if case.priced_until is None or case.priced_until <= at:
            self._quote(case, at - timedelta(seconds=30), money)
        ahead = rng.randint(1, 14) if arrival.person.country == "TR" else rng.randint(4, 45)
        case.treated_on = at.astimezone(hours.ZONE).date() + timedelta(days=ahead)
        self.acts.append(Sale(at, case.number, money, case.treated_on))
        case.status = Status.won
        if rng.random() < 0.03:
            self.agenda.put(case, at + timedelta(days=rng.uniform(1, 6)), "cancel")
        else:
            self._plan_check_in(case)

    def _plan_check_in(self, case: Case) -> None:
        assert case.treated_on is not None, "who is looked after was sold something"
        if case.looked_after < len(CHECK_INS):
            day = case.treated_on + timedelta(days=CHECK_INS[case.looked_after])
            self.agenda.put(case, datetime.combine(day, time(10), hours.ZONE).astimezone(hours.UTC), "check_in")

    def _check_in(self, case: Case, at: datetime) -> timedelta:
        """Ask how the patient is doing."""
        day = CHECK_INS[case.looked_after]
        case.looked_after += 1
        if case.rng.random() < 0.1:
            self._talk(case, at, Channel.call, "no_answer")
            self.acts.append(LookAfter(at + timedelta(minutes=1), case.number, day, "not_reached"))
        else:
            self._talk(case, at, case.rng.choice((Channel.call, Channel.whatsapp)), "answered")
            self.acts.append(LookAfter(at + timedelta(minutes=4), case.number, day))
        self._plan_check_in(case)
        return timedelta(minutes=5)

    def _cancel(self, case: Case, at: datetime) -> timedelta:
        self.acts.append(Cancel(at, case.number, "cancelled"))
        case.status = Status.lost
        return timedelta(minutes=3)

    def _give_up(self, case: Case, at: datetime) -> timedelta:
        self._move(case, at, Status.lost, "not_interested" if case.status is Status.not_interested else "unreachable")
        return timedelta(minutes=0.5)

    def _lose(self, case: Case, at: datetime) -> timedelta:
        reason = case.rng.choices(*zip(*WHY_LOST, strict=True))[0]
        if case.price and reason in ("price", "competitor"):
            self.acts.append(Refusal(at - timedelta(seconds=20), case.number, reason))
        self._move(case, at, Status.lost, reason)
        case.price = None
        # Who only wanted another date comes back: the next cycle of the same lead.
        if reason == "timing" and case.rng.random() < 0.5:
            self.agenda.put(case, at + timedelta(days=case.rng.uniform(4, 12)), "reopen")
        return timedelta(minutes=1)

    def _reopen(self, case: Case, at: datetime) -> timedelta:
        self.acts.append(Reopen(at, case.number, "another_date"))
        case.status = Status.recycled
        case.attempts, case.tries = 1, 0
        self.agenda.put(case, at + timedelta(minutes=2), "attempt")
        return timedelta(minutes=1)
