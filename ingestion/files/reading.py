"""CSV and Excel as rows of text, in the order of the file, whatever accidents are in it."""

import codecs
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from crm.imports.chunks import Numbered
from crm.imports.mapping import Mapping
from crm.imports.rows import BadFile

WORKBOOK = b"PK\x03\x04"
"""How an .xlsx begins; no CSV does."""
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
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


def table(file: BinaryIO, mapping: Mapping) -> Table:
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
    """Number the rows that hold something, and the unreadable ones (empty lists)."""
    return enumerate(cells for cells in rows if not cells or any(cells))


def _csv(file: BinaryIO, mapping: Mapping) -> Table:
    size = max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)
    file.seek(0)
    encoding = "utf-8-sig" if codecs.lookup(mapping.encoding).name == "utf-8" else mapping.encoding
    # Bytes that are no text are carried along, so that one bad row is one rejected row.
    text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
    rows = _lines(csv.reader(text, delimiter=mapping.delimiter), mapping)
    header = next(rows, None)
    if not header:
        raise BadFile("the file is empty: its first line must name the columns")
    return Table(header, _numbered(rows), size)


def _lines(reader: "Iterator[list[str]]", mapping: Mapping) -> Iterator[list[str]]:
    """Yield the records of a CSV file; one that cannot be read is an empty list, blank lines are left out."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield []
        except UnicodeError as error:
            raise BadFile(f"the file is not {mapping.encoding}: name its encoding in the mapping") from error
        else:
            if cells:
                yield cells


def _workbook(file: BinaryIO, mapping: Mapping) -> Table:
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
