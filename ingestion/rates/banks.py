"""Asking central banks for their rates, over HTTP. What a bank did not publish (weekends, holidays) is no error."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import httpx

from crm.settings import settings
from ingestion.rates import tables
from ingestion.rates.tables import Table, Unreadable

PATIENCE = 20.0
"""Seconds a bank may take to answer."""
LATELY = timedelta(days=80)
"""Age up to which a day is in the ECB's file of the last 90 days."""


class Bank(StrEnum):
    """Who publishes rates."""

    tcmb = "tcmb"
    ecb = "ecb"


@dataclass(frozen=True, slots=True)
class Told:
    """What a bank said of a day: its table, or that what came was none."""

    bank: Bank
    day: date
    table: Table | None


def bank_of(currency: str) -> Bank:
    """Return who quotes a firm's own currency first-hand: the TCMB the lira, the ECB all others across the euro."""
    return Bank.tcmb if currency == "TRY" else Bank.ecb


def ask(bank: Bank, first: date, last: date, *, today: date) -> list[Told]:
    """Return what a bank published from the first to the last day, both meant, the earliest first.

    :raises httpx.HTTPError: when it does not answer, or answers with an error.
    """
    with httpx.Client(timeout=PATIENCE, follow_redirects=True, headers={"User-Agent": "santral"}) as client:
        told = _tcmb(client, first, last) if bank is Bank.tcmb else _ecb(client, first, last, today)
        return sorted(told, key=lambda each: each.day)


def _tcmb(client: httpx.Client, first: date, last: date) -> Iterator[Told]:
    base = settings().tcmb_url.rstrip("/")
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        if day.isoweekday() > 5:
            continue
        answer = client.get(f"{base}/{day:%Y%m}/{day:%d%m%Y}.xml")
        if answer.status_code == httpx.codes.NOT_FOUND:
            continue
        answer.raise_for_status()
        yield Told(Bank.tcmb, day, _of_its_day(answer, day))


def _of_its_day(answer: httpx.Response, day: date) -> Table | None:
    try:
        found = tables.tcmb(answer.text)
    except Unreadable:
        return None
    return found if found.day == day else None


def _ecb(client: httpx.Client, first: date, last: date, today: date) -> Iterator[Told]:
    name = "hist-90d" if today - first <= LATELY else "hist"
    answer = client.get(f"{settings().ecb_url.rstrip('/')}/eurofxref-{name}.xml")
    answer.raise_for_status()
    try:
        found = tables.ecb(answer.text)
    except Unreadable:
        yield Told(Bank.ecb, last, None)
        return
    yield from (Told(Bank.ecb, each.day, each) for each in found if first <= each.day <= last)
