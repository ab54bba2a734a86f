"""Every sentence that a row can be refused with has a code, which lists and counts go by."""

import csv

import pytest

from crm import phone
from crm.imports import faults, mapping
from crm.imports.cells import BadRow, Unreadable
from crm.imports.rows import Reader

PLAN = mapping.of(
    {"source": "fair", "fields": {"name": "Name", "phone": "Phone", "email": "Email", "country": "Country",
                                  "acquired_at": "At"}}
)  # fmt: skip
HEADER = ["Name", "Phone", "Email", "Country", "At"]
GOOD = ["Ada", "0532 123 45 67", "ada@example.com", "TR", "2026-03-03T09:00:00Z"]


def refused(cells, plan=PLAN):
    """Return the faults of a row."""
    with pytest.raises(BadRow) as bad:
        Reader(plan, HEADER, digest=lambda text: text.encode(), country="TR").read(cells)
    return bad.value.faults


class TestCodes:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({0: "x" * 201}, "too_long"),
            ({2: "ada"}, "email_invalid"),
            ({1: "", 2: ""}, "unreachable"),
            ({3: "Turkey"}, "country_invalid"),
            ({4: "yesterday"}, "instant_invalid"),
            ({4: "45678"}, "instant_invalid"),
            ({0: "a\x00b"}, "unreadable"),
            ({0: "\udcff"}, "unreadable"),
        ],
    )
    def test_are_those_of_the_cells_at_fault(self, change, code):
        cells = [change.get(place, cell) for place, cell in enumerate(GOOD)]

        assert code in faults.codes(refused(cells))
        assert faults.OTHER not in faults.codes(refused(cells))

    def test_of_rows_that_are_no_rows(self):
        whole = ",".join(GOOD)

        assert faults.codes(refused(Unreadable([whole]))) == ["unreadable"]
        assert faults.codes(refused([*GOOD, "more"])) == ["column_count"]
        assert faults.codes(refused(next(csv.reader([f'"{whole}",,,,'])))) == ["wrapped"]

    def test_of_a_number_that_cannot_be_dialled(self):
        with pytest.raises(phone.NotAPhone) as bad:
            phone.parse("12")

        assert faults.codes(bad.value.fields) == ["phone_invalid"]

    def test_come_once_each(self):
        assert faults.codes({"a": "longer than 3 characters", "b": "longer than 4 characters"}) == ["too_long"]

    def test_of_a_sentence_nobody_knows_is_the_general_one(self):
        assert faults.codes({"row": "something else"}) == [faults.OTHER]
