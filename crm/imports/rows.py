"""From the cells of one row to a lead, by a mapping. No database, no clock: facts in, a lead or its faults out."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from crm import errors
from crm import phone as phones
from crm.imports.mapping import Column, Fields, Instant, fold
from crm.imports.mapping import Mapping as FileMapping
from crm.leads.intake import Consent, NewLead
from crm.leads.rules import Status

ERROR_COLUMN = "error"
"""What a report adds to the columns of the file it came from."""
EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]{2,}")
LONGEST = {"name": 200, "email": 254, "phone": 60, "country": 2, "language": 20, "external_id": 200}
"""Characters a field may have; what is not named may have `LONGEST_TEXT`."""
LONGEST_TEXT = 500
LONGEST_ATTRIBUTE = 2000
LONGEST_CELL = 4 * 1024**2
"""Characters a cell may have to be read at all."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a cell."""
BETWEEN = "\x1e"
DAYS = re.compile(r"\d{1,5}(?:\.\d+)?")
"""A date as a spreadsheet counts it: days, and the time of day as their fraction."""
DAY_ZERO = datetime(1899, 12, 30)
"""What Excel counts from: its day 60 is a 29 February 1900 that never was, so that later dates come out right."""
DAY_NUMBER = "a date as Excel counts days: give the column a date format, or set format: excel"
COUNTRY = re.compile(r"[A-Z]{2}")
WRAPPED = "the whole record is wrapped in quotes: unwrap it, or set unwrap_quoted_rows in the mapping"
PLAIN = (
    "external_id", "name", "email", "country", "language", "status", "loss_reason", "platform", "campaign", "adset",
    "ad", "form", "keyword", "geography", "acquired_at",
)  # fmt: skip


class BadFile(errors.Invalid):
    """The file cannot be read with this mapping."""

    code = "import.file-invalid"


class BadRow(Exception):
    """One row cannot become a lead. `faults` is column → sentence; it never repeats what the cell holds."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{column}: {sentence}" for column, sentence in faults.items()))
        self.faults = dict(faults)


def escape(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; reading a file undoes it."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def unescape(cell: str) -> str:
    """Return what `escape` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell


class Unreadable(list[str]):
    """A line that is no row: a quote in it is not closed, or a cell too long. It stands whole in its only cell."""


class Reader:
    """Reads the rows of one file. `unmapped` counts the status values that no table knows, by column and value."""

    def __init__(
        self,
        mapping: FileMapping,
        header: Sequence[str],
        *,
        digest: Callable[[str], bytes],
        country: str,
        import_id: UUID | None = None,
    ) -> None:
        """:param digest: the tenant's keyed hash of a row's content.
        :param country: where numbers without a country code are from when the mapping does not say.
        :raises BadFile: when the file lacks columns that the mapping names.
        """
        names = [name.strip() for name in header]
        if missing := sorted(mapping.columns - set(names)):
            raise BadFile(
                f"the file has no column {', '.join(repr(name) for name in missing)} that the mapping names; "
                f"its columns are {', '.join(repr(name) for name in names)}"
            )
        if twice := sorted(name for name, count in Counter(names).items() if count > 1 and name in mapping.columns):
            raise BadFile(f"the file has more than one column {', '.join(repr(name) for name in twice)}")
        self.mapping = mapping
        self.width = len(names)
        self._header = names
        self._is_report = names[-1] == ERROR_COLUMN and ERROR_COLUMN not in mapping.columns
        self.unmapped: Counter[tuple[str, str]] = Counter()
        self._at = {name: index for index, name in enumerate(names)}
        self._digest = digest
        self._country = mapping.default_country or country
        self._import_id = import_id
        self._nothing = frozenset(mapping.empty_values)
        self._texts = [
            (field, get, LONGEST.get(field, LONGEST_TEXT))
            for field in Fields.model_fields
            if field != "acquired_at" and (get := self._from(getattr(mapping.fields, field)))
        ]
        self._instant = self._from(mapping.fields.acquired_at)
        self._columns_of = {
            field: " ".join(getattr(mapping.fields, field).column) or field for field in Fields.model_fields
        }
        self._consents = [(self._cell(each.column), each) for each in mapping.consents]
        self._statuses = [(self._cell(each.column), each) for each in mapping.status]
        self._tags = [(self._cell(each.column) if each.column else None, each) for each in mapping.tags]
        self._attributes = [(name, column, self._cell(column)) for name, column in mapping.attributes.items()]

    def lead(self, cells: Sequence[str]) -> NewLead:
        """Return the lead of one row, with its outside id and the hash of its content.

        :raises BadRow: with every fault that can be seen without dialling.
        """
        if len(cells) != self.width or (not cells[-1] and not cells[1 % self.width]) or self._is_report:
            cells = self._whole(cells)
        faults: dict[str, str] = {}
        texts: dict[str, str] = {}
        for field, get, longest in self._texts:
            texts[field] = text = get(cells)
            if len(text) > longest:
                faults[self._columns_of[field]] = f"longer than {longest} characters"
        of = texts.get
        phone, email, country = of("phone", ""), of("email", "").lower(), of("country", "").upper()
        if email and not EMAIL.fullmatch(email):
            faults[self._columns_of["email"]] = "not an e-mail address, as in name@example.com"
        if not (phone or email or self.mapping.allow_anonymous):
            faults["row"] = "neither a phone number nor an e-mail address"
        if country and not COUNTRY.fullmatch(country):
            faults[self._columns_of["country"]] = "not a country of two letters, as in TR"
        acquired_at = self._acquired_at(cells, faults) if self._instant else None
        attributes = self._attributes_of(cells, faults) if self._attributes else {}
        if faults:
            raise BadRow(faults)
        status, loss_reason = self._status(cells) if self._statuses else (Status.new, None)
        lead: dict[str, Any] = {
            "external_id": of("external_id", ""),
            "name": of("name", ""),
            "phone": phone,
            "email": email,
            "country": country or self._country,
            "language": of("language") or None,
            "status": status,
            "loss_reason": loss_reason or of("loss_reason") or None,
            "platform": of("platform") or "unknown",
            "campaign": of("campaign") or None,
            "adset": of("adset") or None,
            "ad": of("ad") or None,
            "form": of("form") or None,
            "keyword": of("keyword") or None,
            "geography": of("geography") or None,
            "attributes": attributes,
            "tags": self._tags_of(cells) if self._tags else (),
            "consents": self._consents_of(cells) if self._consents else (),
            "acquired_at": acquired_at,
        }
        digest = self._content(lead)
        lead["external_id"] = lead["external_id"] or f"row-{digest.hex()[:40]}"
        return NewLead(self.mapping.source, content_hash=digest, import_id=self._import_id, **lead)

    def _content(self, lead: dict[str, Any]) -> bytes:
        """Return the hash of what a row says, however it is written.

        :raises BadRow: when it says what is no text.
        """
        words = [
            lead["phone"].translate(phones.FORMATTING),
            *[str(lead[field] or "") for field in PLAIN],
            *lead["tags"],
            *[f"{each.channel}={each.status}" for each in lead["consents"]],
            *[f"{name}={text}" for name, text in lead["attributes"].items()],
        ]
        content = BETWEEN.join(words)
        if "\x00" in content:
            raise BadRow({"row": "holds a NUL character"})
        try:
            return self._digest(content)
        except UnicodeEncodeError as error:
            raise BadRow({"row": f"holds bytes that are not {self.mapping.encoding}"}) from error

    def named(self, faults: Mapping[str, str]) -> dict[str, str]:
        """Return faults of fields as faults of the file's own columns."""
        return {self._columns_of.get(field, field): sentence for field, sentence in faults.items()}

    def _cell(self, column: str) -> Callable[[Sequence[str]], str]:
        index, nothing = self._at[column], self._nothing

        def get(cells: Sequence[str]) -> str:
            text = cells[index].strip()
            if text[:1] == "'":
                text = unescape(text)
            return "" if text in nothing else text

        return get

    def _from(self, column: Column) -> Callable[[Sequence[str]], str] | None:
        """Return how a field is read from a row, or None when the mapping does not give it."""
        if not column.column and not column.value:
            return None
        cells_of, value, lower = [self._cell(name) for name in column.column], column.value, column.fold == "lower"
        if not cells_of:
            return lambda cells: value
        if len(cells_of) == 1 and not value and not lower:
            return cells_of[0]

        def get(cells: Sequence[str]) -> str:
            text = " ".join(part for part in (cell(cells) for cell in cells_of) if part) or value
            return text.lower() if lower else text

        return get

    def _whole(self, cells: Sequence[str]) -> Sequence[str]:
        """Return the cells of a row under the header, unwrapped where the mapping says so.

        :raises BadRow: when they are fewer or more, or wrapped and the mapping does not say so.
        """
        if isinstance(cells, Unreadable):
            raise BadRow({"row": f"unreadable: a quote that is not closed, or more than {LONGEST_CELL:,} characters"})
        if self.width > 1 and self.mapping.delimiter in cells[0] and not any(self._own(cells)[1:]):
            record = next(csv.reader([unescape(cells[0])], delimiter=self.mapping.delimiter), [])
            if len(self._own(record)) == len(self._own(self._header)):
                if not self.mapping.unwrap_quoted_rows:
                    raise BadRow({"row": WRAPPED})
                return record if len(record) == self.width else [*record, ""]
        if len(cells) != self.width:
            raise BadRow({"row": f"{len(cells)} columns where the header has {self.width}"})
        return cells

    def _own(self, cells: Sequence[str]) -> Sequence[str]:
        """Return a row's cells without an earlier report's."""
        return cells[: self.width - 1] if self._is_report else cells

    def _acquired_at(self, cells: Sequence[str], faults: dict[str, str]) -> datetime | None:
        text = self._instant(cells) if self._instant else ""
        if not text:
            return None
        try:
            return instant(text, self.mapping.fields.acquired_at)
        except (ValueError, OverflowError):
            form = self.mapping.fields.acquired_at.format
            sentence = DAY_NUMBER if DAYS.fullmatch(text) else f"not an instant in the format {form}"
            faults[self._columns_of["acquired_at"]] = sentence
            return None

    def _status(self, cells: Sequence[str]) -> tuple[Status, str | None]:
        for cell, table in self._statuses:
            if not (value := cell(cells)):
                continue
            if outcome := table.values.get(_fold(value)):
                return outcome.status, outcome.loss_reason
            if table.others == "note":
                self.unmapped[table.column, value[:LONGEST_TEXT]] += 1
        return Status.new, None

    def _consents_of(self, cells: Sequence[str]) -> list[Consent]:
        found = []
        for cell, column in self._consents:
            value = cell(cells)
            if value and (status := column.values.get(_fold(value))):
                found.append(Consent(column.channel, status, {"column": column.column, "value": value[:LONGEST_TEXT]}))
        return found

    def _tags_of(self, cells: Sequence[str]) -> list[str]:
        found: dict[str, None] = {}
        for cell, tags in self._tags:
            text = (cell(cells) if cell else "") or tags.value
            for part in text.split(tags.split) if tags.split else [text]:
                if part.strip():
                    found[part.strip()[:100]] = None
        return list(found)

    def _attributes_of(self, cells: Sequence[str], faults: dict[str, str]) -> dict[str, str]:
        found = {}
        for name, column, cell in self._attributes:
            if text := cell(cells):
                if len(text) > LONGEST_ATTRIBUTE:
                    faults[column] = f"longer than {LONGEST_ATTRIBUTE} characters"
                found[name] = text
        return found


_fold = lru_cache(maxsize=4096)(fold)


def instant(text: str, how: Instant) -> datetime:
    """Return an instant in UTC from a file's text.

    `excel`: a number of days as a spreadsheet counts them, to the second, or an ISO date where the cell has a format.

    :raises ValueError: when the text is not in the mapping's format.
    """
    told = _told(text, how.format)
    return (told if told.tzinfo else told.replace(tzinfo=ZoneInfo(how.zone))).astimezone(UTC)


def _told(text: str, form: str) -> datetime:
    if form == "excel" and DAYS.fullmatch(text):
        return DAY_ZERO + timedelta(seconds=round(float(text) * 86400))
    return datetime.fromisoformat(text) if form in ("iso", "excel") else datetime.strptime(text, form)
