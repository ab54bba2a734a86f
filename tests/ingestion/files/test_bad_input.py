"""Files as people send them: imported, refused with a sentence that helps, or rejected row by row; no row is lost."""

import io
from dataclasses import asdict
from datetime import datetime

import pytest
import xlsxwriter

from crm.imports import mapping, reports
from crm.imports.cells import DAY_NUMBER, BadFile
from tests.ingestion.files.conftest import HEADER, PLAN, as_csv, row


def numbers(run) -> tuple[int, ...]:
    """Read, created, merged, unchanged, rejected."""
    return tuple(asdict(run.counts).values())


def planned(**settings):
    text = "\n".join(f"{name}: {value}" for name, value in settings.items())
    return mapping.parse(f"{text}\n{PLAN}")


def recoded(rows, encoding, header=HEADER) -> io.BytesIO:
    return io.BytesIO(as_csv(rows, header).getvalue().decode().encode(encoding))


async def faults(tenant, run):
    return [each async for each in reports.rejected(tenant.system, run.id)]


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["windows-1254", "cp1254", "utf-16", "utf-16-le", "utf-8-sig", "iso-8859-9"])
    async def test_are_read_where_the_mapping_names_them(self, load, ask, encoding):
        run = await load(recoded([row(1, City="Şişli"), row(2)], encoding), planned(encoding=encoding))

        assert numbers(run) == (2, 2, 0, 0, 0)
        assert await ask("select attributes->>'City' from crm.lead where external_id = '1'") == "Şişli"

    async def test_turkish_text_read_as_utf8_is_rejected_row_by_row_with_its_bytes(self, load, tenant, ask):
        run = await load(recoded([row(1, Name="Ada"), row(2, Name="Şule")], "cp1254"))

        [told] = await faults(tenant, run)
        assert numbers(run) == (2, 1, 0, 0, 1)
        assert told.faults == {"row": "holds bytes that are not utf-8"}
        line = [each async for each in reports.as_csv(run, _again([told]))][1]
        assert "Şule".encode("cp1254") in line

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    async def test_utf16_read_as_utf8_is_refused_by_its_name(self, load, encoding):
        with pytest.raises(BadFile, match=f"UTF-{encoding[4:6]}.*encoding"):
            await load(recoded([row(1)], encoding))

    async def test_utf16_without_its_last_byte_is_refused(self, load):
        file = io.BytesIO(recoded([row(1)], "utf-16").getvalue()[:-1])

        with pytest.raises(BadFile, match="utf-16"):
            await load(file, planned(encoding="utf-16"))

    async def test_utf8_read_as_utf16_is_refused(self, load):
        with pytest.raises(BadFile, match="utf-16"):
            await load(as_csv([row(1)]), planned(encoding="utf-16"))


async def _again(rejections):
    for each in rejections:
        yield each


class TestCells:
    async def test_formulas_stay_text_and_are_harmless_in_reports(self, load, tenant, ask):
        evil = '=HYPERLINK("http://example.com","x")'
        run = await load([row(1, City=evil), row(2, City=evil, Phone="12"), row(3, Name="@SUM(A1)"), row(4, Mail="+1")])

        told = await faults(tenant, run)
        lines = [reports.cells_of(each, run.columns, run.mapping) for each in told]
        assert numbers(run) == (4, 2, 0, 0, 2)
        assert await ask("select attributes->>'City' from crm.lead where external_id = '1'") == evil
        assert not any(cell.startswith(("=", "+", "-", "@")) for line in lines for cell in line)

    async def test_a_line_of_a_megabyte_is_rejected_whole(self, load, tenant):
        huge = "x" * 1_000_000
        run = await load([row(1), row(2, City=huge), row(3), row(4, Name=huge), [huge], row(5)])

        told = await faults(tenant, run)
        assert numbers(run) == (6, 3, 0, 0, 3)
        assert [list(each.faults.values()) for each in told] == [
            ["longer than 2000 characters"], ["longer than 200 characters"], ["1 columns where the header has 7"],
        ]  # fmt: skip
        assert huge in told[0].cells
        assert told[2].cells == [huge]

    @pytest.mark.parametrize("column", [1, 6])
    @pytest.mark.parametrize("later", ["", '"Kadıköy, Moda"'])
    async def test_a_quote_that_is_never_closed_takes_no_other_row_along(self, load, tenant, column, later):
        lines = as_csv([row(n) for n in range(1, 400)]).getvalue().decode().split("\r\n")
        cells = lines[7].split(",")
        cells[column] = f'"{cells[column]}'
        lines[7] = ",".join(cells)
        lines[200] += later

        run = await load(io.BytesIO("\r\n".join(lines).encode()))

        [told] = await faults(tenant, run)
        assert numbers(run) == (399, 398, 0, 0, 1)
        assert (told.cells, "a quote that is not closed" in told.faults["row"]) == ([lines[7]], True)

    async def test_a_cell_of_several_lines_is_one_row(self, load, ask):
        run = await load([row(1, City="Kadıköy\nModa\n"), row(2)])

        assert numbers(run) == (2, 2, 0, 0, 0)
        assert await ask("select attributes->>'City' from crm.lead where external_id = '1'") == "Kadıköy\nModa"

    async def test_two_rows_of_five_bad_are_a_report_of_two_fifths(self, load, tenant, plan):
        bad = {0: {"Phone": "12"}, 1: {"Mail": "nobody"}}
        rows = [row(n, **bad.get(n % 5, {})) for n in range(1000)]

        run = await load(rows)
        told = await faults(tenant, run)
        mended = [
            [*reports.cells_of(each, run.columns, plan)[:2], f"+90533{n:07d}", "", *each.cells[4:], ""]
            for n, each in enumerate(told)
        ]
        again = await load(as_csv(mended, reports.header(run.columns, plan)))

        assert numbers(run) == (1000, 600, 0, 0, 400)
        assert numbers(again) == (400, 400, 0, 0, 0)


def sheet(fill) -> io.BytesIO:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        page = book.add_worksheet("Leads")
        page.write_row(0, 0, [*HEADER, "When"])
        fill(book, page)
    content.seek(0)
    return content


WHEN = "fields: {external_id: Id, name: Name, phone: Phone, email: Mail, acquired_at: When}"


def with_dates(**how):
    given = "".join(f", {name}: {value!r}" for name, value in how.items())
    return mapping.parse(
        "source: fair\nfields: {external_id: Id, name: Name, phone: Phone, email: Mail,"
        f" acquired_at: {{column: When{given}}}}}\n"
    )


class TestWorkbooks:
    async def test_a_merged_cell_belongs_to_its_first_row_and_the_others_say_what_they_miss(self, load, tenant, ask):
        def fill(book, page):
            for n in (1, 2, 3):
                page.write_row(n, 0, row(n, Phone="", Mail=""))
            page.merge_range(1, 2, 3, 2, "+905321112233")

        run = await load(sheet(fill))

        told = await faults(tenant, run)
        assert numbers(run) == (3, 1, 0, 0, 2)
        assert [each.faults for each in told] == [{"row": "neither a phone number nor an e-mail address"}] * 2
        assert [each.cells[0] for each in told] == ["2", "3"]

    async def test_a_merged_title_above_the_header_is_refused_with_the_columns_it_has(self, load):
        content = io.BytesIO()
        with xlsxwriter.Workbook(content) as book:
            page = book.add_worksheet()
            page.merge_range(0, 0, 0, 6, "Leads of March")
            page.write_row(1, 0, HEADER)
            page.write_row(2, 0, row(1))
        content.seek(0)

        with pytest.raises(BadFile, match=r"no column.*Leads of March"):
            await load(content)

    async def test_a_merged_header_is_refused(self, load):
        content = io.BytesIO()
        with xlsxwriter.Workbook(content) as book:
            page = book.add_worksheet()
            page.write_row(0, 0, [name if name != "Mail" else "" for name in HEADER])
            page.merge_range(0, 2, 0, 3, "Phone")
            page.write_row(1, 0, row(1))
        content.seek(0)

        with pytest.raises(BadFile, match="no column 'Mail'"):
            await load(content)

    async def test_dates_are_read_as_dates(self, load, ask):
        def fill(book, page):
            page.write_row(1, 0, row(1))
            page.write_datetime(1, 7, datetime(2026, 3, 2, 12, 30), book.add_format({"num_format": "dd.mm.yyyy hh:mm"}))

        run = await load(sheet(fill), with_dates(zone="Europe/Istanbul"))

        assert numbers(run) == (1, 1, 0, 0, 0)
        assert await ask("select acquired_at::text from crm.lead") == "2026-03-02 09:30:00+00"

    async def test_dates_that_are_numbers_are_read_where_the_mapping_says_so(self, load, ask):
        def fill(book, page):
            for n, number in enumerate((46083, 46083.520833333336), start=1):
                page.write_row(n, 0, row(n))
                page.write_number(n, 7, number)

        run = await load(sheet(fill), with_dates(format="excel", zone="Europe/Istanbul"))

        assert numbers(run) == (2, 2, 0, 0, 0)
        assert await ask("select array_agg(acquired_at::text order by external_id) from crm.lead") == [
            "2026-03-01 21:00:00+00", "2026-03-02 09:30:00+00",
        ]  # fmt: skip

    async def test_dates_that_are_numbers_are_rejected_where_it_does_not(self, load, tenant):
        def fill(book, page):
            page.write_row(1, 0, row(1))
            page.write_number(1, 7, 46083)

        run = await load(sheet(fill), with_dates())

        [told] = await faults(tenant, run)
        assert told.faults == {"When": DAY_NUMBER}

    async def test_phones_that_are_numbers_keep_their_digits(self, load, ask):
        def fill(book, page):
            page.write_row(1, 0, row(1))
            page.write_number(1, 2, 905321234567)

        run = await load(sheet(fill))

        assert numbers(run) == (1, 1, 0, 0, 0)
        assert await ask("select phone_masked from crm.contact") is not None

    async def test_formula_cells_are_their_values(self, load, ask):
        def fill(book, page):
            page.write_row(1, 0, row(1))
            page.write_formula(1, 6, '="Kadı"&"köy"', None, "Kadıköy")

        run = await load(sheet(fill))

        assert numbers(run) == (1, 1, 0, 0, 0)
        assert await ask("select attributes->>'City' from crm.lead") == "Kadıköy"
