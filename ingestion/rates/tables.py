"""Rates of exchange of a day, read from what central banks publish and from CSV. Pure.

* TCMB (Türkiye Cumhuriyet Merkez Bankası), one XML a business day, in lira: the buying rate of foreign exchange
  (`ForexBuying`, by which books value foreign money), for `Unit` units of a currency.
* ECB, XML with one or many days, in euros the other way round: how much of a currency one euro is.
* CSV with the columns `day`, `currency`, `rate` and, where it is not the firm's own currency, `base`.
"""

import csv as files
import io
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from xml.etree import ElementTree

from crm import errors

CODE = re.compile(r"[A-Z]{3}")
TOO_LONG = 20_000_000
"""Characters that no table of rates has; the ECB's of all days since 1999 has nine millions."""
PLACES = Decimal("1e-12")
"""As exactly as rates are kept."""


class Unreadable(errors.Invalid):
    """This is no table of rates."""

    code = "rates.unreadable"


@dataclass(frozen=True, slots=True)
class Table:
    """How much of the base one unit of each currency was worth by what was published on a day."""

    base: str
    day: date
    rates: Mapping[str, Decimal]

    @property
    def payload(self) -> dict[str, object]:
        """The table as it lands."""
        return {"base": self.base, "rates": {code: f"{rate:f}" for code, rate in sorted(self.rates.items())}}


def tcmb(body: str) -> Table:
    """Read the TCMB's table of a day.

    :raises Unreadable: when it is none.
    """
    root = _xml(body)
    try:
        day = datetime.strptime(root.attrib["Tarih"], "%d.%m.%Y").date()
        rates = {
            each.attrib["CurrencyCode"]: _number(told) / _number(each.findtext("Unit") or "")
            for each in root.iter("Currency")
            if (told := (each.findtext("ForexBuying") or "").strip())
        }
    except (KeyError, ValueError) as error:
        raise Unreadable("this is no table of the TCMB") from error
    return _table("TRY", day, rates)


def ecb(body: str) -> list[Table]:
    """Read the ECB's tables, the latest day first as it tells them.

    :raises Unreadable: when there is none.
    """
    found = []
    for cube in _xml(body).iter("{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}Cube"):
        if "time" not in cube.attrib:
            continue
        try:
            rates = {each.attrib["currency"]: 1 / _number(each.attrib["rate"]) for each in cube}
            day = date.fromisoformat(cube.attrib["time"])
        except (KeyError, ValueError) as error:
            raise Unreadable("this is no table of the ECB") from error
        found.append(_table("EUR", day, {"EUR": Decimal(1), **rates}))
    if not found:
        raise Unreadable("this is no table of the ECB")
    return found


def csv(text: str, *, base: str) -> list[Table]:
    """Read rates from CSV, by day; `base` is meant where a row names none.

    :raises Unreadable: when a column is missing or a row is no rate; it names the line.
    """
    rows = files.DictReader(io.StringIO(text))
    if missing := {"day", "currency", "rate"} - set(rows.fieldnames or ()):
        raise Unreadable(f"columns are missing: {', '.join(sorted(missing))}", fields={"file": "columns"})
    days: dict[tuple[str, date], dict[str, Decimal]] = defaultdict(dict)
    for row in rows:
        try:
            key = (row.get("base") or base, date.fromisoformat(row["day"] or ""))
            days[key][_code(row["currency"] or "")] = _number(row["rate"] or "")
        except ValueError as error:
            raise Unreadable(f"line {rows.line_num} is no rate: {error}", fields={"file": "row"}) from error
    return [_table(base, day, rates) for (base, day), rates in sorted(days.items())]


def _xml(body: str) -> ElementTree.Element:
    if len(body) > TOO_LONG or "<!DOCTYPE" in body or "<!ENTITY" in body:
        raise Unreadable("this is no table of rates")
    try:
        return ElementTree.fromstring(body.encode())
    except ElementTree.ParseError as error:
        raise Unreadable("this is no table of rates") from error


def _number(text: str) -> Decimal:
    """:raises ValueError: when it is no number above nothing."""
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    if not found.is_finite() or found <= 0:
        raise ValueError(f"{text!r} is no rate")
    return found


def _code(text: str) -> str:
    if not CODE.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no code of a currency")
    return text.strip()


def _table(base: str, day: date, rates: Mapping[str, Decimal]) -> Table:
    if not rates:
        raise Unreadable(f"the table of {day} holds no rate")
    try:
        return Table(_code(base), day, {_code(code): rate.quantize(PLACES).normalize() for code, rate in rates.items()})
    except (ValueError, InvalidOperation) as error:
        raise Unreadable(f"the table of {day}: {error}") from error
