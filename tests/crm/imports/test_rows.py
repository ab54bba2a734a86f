"""From cells to a lead: what is folded, kept, refused, and what makes two rows the same."""

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.imports import mapping
from crm.imports.cells import BadFile, BadRow
from crm.imports.rows import Reader
from crm.leads.rules import Status
from crm.spreadsheets import escape, unescape

PLAN = """
source: fair
empty_values: [Select]
fields:
  name: [First, Last]
  phone: Phone
  email: Mail
  external_id: Id
  platform: {column: Source, fold: lower}
  campaign: {value: Spring}
  acquired_at: {column: When, format: "%d.%m.%Y %H:%M", zone: Europe/Istanbul}
consents:
  - {column: No mail, channel: email, values: {Yes: denied, No: granted}}
status:
  - {column: Sold, values: {1: won}, others: ignore}
  - {column: Tag, values: {Not  interested: not_interested, Gone: {status: lost, loss_reason: competitor}}}
tags: [{column: Tags, split: ","}, {value: fair}]
attributes: {town: City}
"""
HEADER = ["Id", "First", "Last", "Phone", "Mail", "Source", "When", "No mail", "Sold", "Tag", "Tags", "City"]
ROW = dict(zip(HEADER, ["7", "Ayşe", "Yılmaz", "0532 123 45 67", "A@Example.com", " Google ", "02.03.2026 12:30", "yes",
                        "0", " NOT interested", "a, b", "Select"], strict=True))  # fmt: skip


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def reader(plan: str = PLAN, header: list[str] = HEADER) -> Reader:
    return Reader(mapping.parse(plan), header, digest=digest, country="TR")


def cells(**changed: str) -> list[str]:
    return list((ROW | {name.replace("_", " "): value for name, value in changed.items()}).values())


class TestLead:
    def test_reads_a_row(self):
        lead = reader().read(cells())

        assert (lead.name, lead.phone, lead.email) == ("Ayşe Yılmaz", "0532 123 45 67", "a@example.com")
        assert (lead.source, lead.external_id, lead.platform, lead.campaign) == ("fair", "7", "google", "Spring")
        assert lead.acquired_at == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
        assert lead.status is Status.not_interested
        assert lead.tags == ["a", "b", "fair"]
        assert lead.attributes == {}
        assert [(each.channel, each.status) for each in lead.consents] == [("email", "denied")]

    def test_the_first_table_that_knows_its_value_decides(self):
        assert reader().read(cells(Sold="1", Tag="Gone")).status is Status.won

    def test_a_status_brings_its_reason(self):
        lead = reader().read(cells(Tag="gone"))

        assert (lead.status, lead.loss_reason) == (Status.lost, "competitor")

    def test_an_unknown_status_is_new_and_noted(self):
        fair = reader()

        assert fair.read(cells(Tag="Perhaps")).status is Status.new
        assert fair.unmapped == {("Tag", "Perhaps"): 1}

    def test_without_an_outside_id_the_content_is_the_id(self):
        fair = reader()

        first, again, other = (fair.read(cells(Id="", City=city)) for city in ("İzmir", "İzmir", "Bursa"))

        assert first.external_id == again.external_id != other.external_id

    def test_a_phone_written_otherwise_is_the_same_content(self):
        fair = reader()

        assert fair.read(cells()).content_hash == fair.read(cells(Phone="0532-1234567")).content_hash

    @pytest.mark.parametrize(
        ("changed", "column"),
        [
            ({"Mail": "nobody"}, "Mail"),
            ({"When": "2026-03-02"}, "When"),
            ({"Phone": "", "Mail": ""}, "row"),
            ({"First": "x" * 300}, "First Last"),
            ({"Tags": "a\x00b"}, "row"),
            ({"City": "\udcff"}, "row"),
        ],
    )
    def test_refuses_what_cannot_be_stored(self, changed, column):
        with pytest.raises(BadRow) as refusal:
            reader().read(cells(**changed))

        assert list(refusal.value.faults) == [column]

    def test_refuses_a_row_of_another_width(self):
        with pytest.raises(BadRow, match="11 columns where the header has 12"):
            reader().read(cells()[:-1])


class TestWrapped:
    ROW = '7,Ayşe,Yılmaz,0532 123 45 67,,Google,,,,,"a, b",Bursa'

    def test_is_reported(self):
        with pytest.raises(BadRow, match="wrapped in quotes"):
            reader().read([self.ROW])

    def test_is_mended_where_the_mapping_says_so(self):
        lead = reader(PLAN + "unwrap_quoted_rows: true").read([self.ROW])

        assert (lead.external_id, lead.tags, lead.attributes) == ("7", ["a", "b", "fair"], {"town": "Bursa"})

    def test_is_seen_in_a_report_too(self):
        row = [self.ROW] + [""] * 11 + ["the whole record is wrapped"]

        with pytest.raises(BadRow, match="wrapped in quotes"):
            reader(header=[*HEADER, "error"]).read(row)
        assert reader(PLAN + "unwrap_quoted_rows: true", [*HEADER, "error"]).read(row).external_id == "7"


class TestHeader:
    def test_names_what_is_missing(self):
        with pytest.raises(BadFile, match="no column 'City'"):
            reader(header=HEADER[:-1])

    def test_refuses_a_column_that_is_there_twice(self):
        with pytest.raises(BadFile, match="more than one column 'Tag'"):
            reader(header=[*HEADER, "Tag"])


@given(st.text())
def test_escaping_is_undone_by_reading(cell):
    assert not escape(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    if not cell.startswith("'"):
        assert unescape(escape(cell)) == cell
