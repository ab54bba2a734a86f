"""The cells of one row under a file's header, whatever its rows become. No database, no clock."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from crm import errors
from crm.imports.parts import Column, FileMapping, Instant
from crm.spreadsheets import unescape

ERROR_COLUMN = "error"
"""What a report adds to the columns of the file it came from."""
LONGEST_CELL = 4 * 1024**2
"""Characters a cell may have to be read at all."""
BETWEEN = "\x1e"
DAYS = re.compile(r"\d{1,5}(?:\.\d+)?")
"""A date as a spreadsheet counts it: days, and the time of day as their fraction."""
DAY_ZERO = datetime(1899, 12, 30)
"""What Excel counts from: its day 60 is a 29 February 1900 that never was, so that later dates come out right."""
DAY_NUMBER = "a date as Excel counts days: give the column a date format, or set format: excel"
WRAPPED = "the whole record is wrapped in quotes: unwrap it, or set unwrap_quoted_rows in the mapping"


class BadFile(errors.Invalid):
    """The file cannot be read with this mapping."""

    code = "import.file-invalid"


class BadRow(Exception):
    """One row cannot become a lead. `faults` is column → sentence; it never repeats what the cell holds."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{column}: {sentence}" for column, sentence in faults.items()))
        self.faults = dict(faults)


class Unreadable(list[str]):
    """A line that is no row: a quote in it is not closed, or a cell too long. It stands whole in its only cell."""


class Record(Protocol):
    """What a row says: a lead, or a call."""

    @property
    def external_id(self) -> str | None:
        """The source's own id of it."""

    @property
    def content_hash(self) -> bytes | None:
        """The tenant's keyed hash of all it says."""


class RowReader:
    """Reads the rows of one file; a subclass says what they become.

    `unmapped` counts the values that no table of the mapping knows, by column and value.
    """

    mapping: FileMapping

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
        self._country = country
        self._import_id = import_id
        self._nothing = frozenset(mapping.empty_values)

    def read(self, cells: Sequence[str]) -> Record | None:
        """Return what a row says, with its outside id and the hash of its content; None: nothing to be kept.

        :raises BadRow: with every fault that can be seen in it.
        """
        raise NotImplementedError

    def named(self, faults: Mapping[str, str]) -> dict[str, str]:
        """Return faults of fields as faults of the file's own columns."""
        raise NotImplementedError

    def _squared(self, cells: Sequence[str]) -> Sequence[str]:
        """Return the cells of a row, each under its column; see `_whole`."""
        if len(cells) != self.width or (not cells[-1] and not cells[1 % self.width]) or self._is_report:
            return self._whole(cells)
        return cells

    def _hashed(self, words: Iterable[str]) -> bytes:
        """Return the hash of what a row says.

        :raises BadRow: when it says what is no text.
        """
        content = BETWEEN.join(words)
        if "\x00" in content:
            raise BadRow({"row": "holds a NUL character"})
        try:
            return self._digest(content)
        except UnicodeEncodeError as error:
            raise BadRow({"row": f"holds bytes that are not {self.mapping.encoding}"}) from error

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
        nothing = frozenset(column.empty_values)
        if not cells_of:
            return lambda cells: value
        if len(cells_of) == 1 and not value and not lower and not nothing:
            return cells_of[0]

        def get(cells: Sequence[str]) -> str:
            parts = (cell(cells) for cell in cells_of)
            text = " ".join(part for part in parts if part and part not in nothing) or value
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


def instant(text: str, how: Instant) -> datetime:
    """Return an instant in UTC from a file's text.

    `excel`: a number of days as a spreadsheet counts them, to the second, or an ISO date where the cell has a format.

    :raises ValueError: when the text is not in the mapping's format.
    """
    found = told(text, how.format)
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(how.zone))).astimezone(UTC)


def told(text: str, form: str) -> datetime:
    """Return what a text says in a format, in no zone where it names none; see `instant`."""
    if form == "excel" and DAYS.fullmatch(text):
        return DAY_ZERO + timedelta(seconds=round(float(text) * 86400))
    return datetime.fromisoformat(text) if form in ("iso", "excel") else datetime.strptime(text, form)
