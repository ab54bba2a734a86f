"""Rows of text out of CSV files and workbooks, with the accidents that files have."""

import io
from datetime import datetime

import pytest
import xlsxwriter

from crm.imports import mapping
from crm.imports.cells import LONGEST_CELL, BadFile, Unreadable
from ingestion.files import reading


def read(content: bytes, **settings: str):
    return reading.table(io.BytesIO(content), mapping.of({"source": "fair", **settings}))


class TestCsv:
    def test_numbers_rows_and_leaves_blank_ones_out(self):
        table = read(b'\xef\xbb\xbfId,Name\r\n1,"a\nb"\r\n\r\n,\r\n2,c\r\n')

        assert table.header == ["Id", "Name"]
        assert list(table.rows) == [(0, ["1", "a\nb"]), (1, ["2", "c"])]

    def test_reads_another_encoding_and_delimiter(self):
        table = read("Id;Ad\n1;Şule\n".encode("windows-1254"), encoding="windows-1254", delimiter=";")

        assert next(table.rows) == (0, ["1", "Şule"])

    def test_carries_bytes_that_are_no_text(self):
        table = read(b"Id,Name\n1,\xff\n2,b\n")

        assert [cells[0] for _, cells in table.rows] == ["1", "2"]

    def test_goes_on_after_a_line_that_cannot_be_read(self):
        long = "1," + "x" * (LONGEST_CELL + 1)

        found = list(read(f"Id,Name\n{long}\n2,b\n".encode()).rows)

        assert (found[0][1], isinstance(found[0][1], Unreadable)) == ([long], True)
        assert found[1] == (1, ["2", "b"])

    @pytest.mark.parametrize("content", [b"", b"\n\n"])
    def test_refuses_an_empty_file(self, content):
        with pytest.raises(BadFile, match="empty"):
            read(content)

    def test_refuses_a_header_in_another_encoding(self):
        with pytest.raises(BadFile, match="encoding"):
            read("Id,Şehir\n".encode("windows-1254"))


def workbook(*sheets: str) -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        for name in sheets:
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["Id", "Phone", "When", "Sheet"])
            sheet.write_row(1, 0, [1, 905321234567])
            sheet.write_datetime(
                1, 2, datetime(2026, 3, 2, 12, 30), book.add_format({"num_format": "dd.mm.yyyy hh:mm"})
            )
            sheet.write(1, 3, name)
            sheet.write(3, 0, 2)
    return content.getvalue()


class TestWorkbook:
    def test_reads_numbers_and_instants_as_text(self):
        table = read(workbook("Leads"))

        assert table.header == ["Id", "Phone", "When", "Sheet"]
        assert list(table.rows) == [
            (0, ["1", "905321234567", "2026-03-02 12:30:00", "Leads"]),
            (1, ["2", "", "", ""]),
        ]

    def test_reads_the_named_sheet(self):
        assert next(read(workbook("A", "B"), sheet="B").rows)[1][3] == "B"

    def test_refuses_a_sheet_that_is_not_there(self):
        with pytest.raises(BadFile, match="cannot be read"):
            read(workbook("A"), sheet="B")

    def test_refuses_what_only_begins_like_one(self):
        with pytest.raises(BadFile, match="cannot be read"):
            read(b"PK\x03\x04 and nothing else")
