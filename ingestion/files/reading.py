"""CSV and Excel as rows of text, in the order of the file, whatever accidents are in it."""

import codecs
import csv
import hashlib
import io
import zipfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from crm.imports.cells import LONGEST_CELL, BadFile, Unreadable
from crm.imports.chunks import Numbered
from crm.imports.parts import FileMapping

WORKBOOK = b"PK\x03\x04"
"""How an .xlsx begins; no CSV does."""
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""How wide text begins; the longer marks first, for the shorter ones begin them."""
LARGEST_WORKBOOK = 2 * 1024**3
"""Bytes a workbook may unpack to."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file's header and its rows that are not blank, numbered from 0; `size` is about how many rows there are."""

    header: list[str]
    rows: Iterator[Numbered]
    size: int


def digest(file: BinaryIO) -> str:
    """Return the SHA-256 of a file's bytes, in hex, and rewind it."""
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return found


def table(file: BinaryIO, mapping: FileMapping) -> Table:
    """Return the rows of a CSV file or of a workbook's sheet; which it is, its first bytes tell.

    :raises BadFile: when it is neither, empty, or its header is not text in the mapping's encoding.
    """
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    found = _workbook(file, mapping) if start.startswith((WORKBOOK, OLD_WORKBOOK)) else _csv(file, mapping)
    try:
        "".join(found.header).encode()
    except UnicodeEncodeError as error:
        raise BadFile(f"the header is not {mapping.encoding}: name the file's encoding in the mapping") from error
    return found


def _numbered(rows: Iterator[list[str]]) -> Iterator[Numbered]:
    """Number the rows that hold something."""
    return enumerate(cells for cells in rows if any(cells))


def _require_encoding(start: bytes, encoding: str) -> None:
    """Refuse a file whose first bytes say that it is wide text while the mapping says otherwise, or the reverse.

    :raises BadFile: with the encoding to name in the mapping.
    """
    wide = next((name for mark, name in MARKS.items() if start.startswith(mark)), None) or _by_zeros(start)
    told = codecs.lookup(encoding).name
    if wide and not told.startswith(wide):
        raise BadFile(f"the file is {wide.upper()}: write `encoding: {wide}` in the mapping, or save the file as UTF-8")
    if told in ("utf-16", "utf-32") and not wide:
        raise BadFile(f"the file is not {encoding}: name its encoding in the mapping")


def _by_zeros(start: bytes) -> str | None:
    """Return which wide text bytes without a mark are, by the zeros between Latin letters."""
    zeros = start.count(0)
    return None if zeros == 0 else "utf-32" if zeros * 3 > len(start) * 2 - 3 else "utf-16"


class _Source:
    """The lines of a file; those of the record that was just read can be given back."""

    def __init__(self, text: Iterator[str]) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._text)
        self.taken.append(line)
        return line

    def give_back(self) -> str:
        """Return the first line of what was taken, and have the others read again."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        self.taken.clear()
        return first


def _csv(file: BinaryIO, mapping: FileMapping) -> Table:
    _require_encoding(file.read(64), mapping.encoding)
    file.seek(0)
    size = max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)
    file.seek(0)
    encoding = "utf-8-sig" if codecs.lookup(mapping.encoding).name == "utf-8" else mapping.encoding
    # Bytes that are no text are carried along, so that one bad row is one rejected row.
    text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
    csv.field_size_limit(LONGEST_CELL)
    rows = _records(_Source(iter(text)), mapping)
    header = next(rows, None)
    if not header:
        raise BadFile("the file is empty: its first line must name the columns")
    header[0] = header[0].removeprefix("\ufeff")
    return Table(header, _numbered(rows), size)


def _records(source: _Source, mapping: FileMapping) -> Iterator[list[str]]:
    """Yield the records of a CSV file; blank lines are left out.

    A quote that is not closed would take the lines after it along: of such a record only the first line is unreadable,
    and the others are read again for themselves.
    """
    width = None
    reader = csv.reader(source, delimiter=mapping.delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Unreadable([source.give_back().rstrip("\r\n")])
            reader = csv.reader(source, delimiter=mapping.delimiter)
            continue
        except UnicodeError as error:
            raise BadFile(f"the file is not {mapping.encoding}: name its encoding in the mapping") from error
        if len(source.taken) > 1 and width and _swallowed(source.taken, len(cells) == width):
            yield Unreadable([source.give_back().rstrip("\r\n")])
            continue
        source.taken.clear()
        if cells:
            width = width or len(cells)
            yield cells


def _swallowed(lines: list[str], has_its_width: bool) -> bool:
    """Tell whether a record of several lines is one with a quote that is not closed, and rows that it took along."""
    return not has_its_width or sum(line.count('"') for line in lines) % 2 == 1


def _workbook(file: BinaryIO, mapping: FileMapping) -> Table:
    import fastexcel  # big, and most files are CSV

    content = file.read()
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > LARGEST_WORKBOOK:
            raise BadFile("the workbook is too large: save it as CSV")
    try:
        book = fastexcel.read_excel(content)
        sheet = book.load_sheet(mapping.sheet or 0, header_row=None, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        raise BadFile(f"the workbook cannot be read: {str(error).splitlines()[0]}") from error
    rows = ([cell or "" for cell in cells] for cells in sheet.iter_rows())
    header = next((cells for cells in rows if any(cells)), None)
    if header is None:
        raise BadFile("the sheet is empty: its first row must name the columns")
    return Table(header, enumerate(cells for cells in rows if any(cells)), max(0, sheet.height - 1))
