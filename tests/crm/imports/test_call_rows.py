"""From cells to a call of another system: what follows from what is told, what is refused, what is left out."""

import hashlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.calls.story import Outcome
from crm.imports import faults as fault_codes
from crm.imports import mapping
from crm.imports.call_rows import CallReader
from crm.imports.cells import BadFile, BadRow
from crm.imports.mapping import MappingInvalid

PLAN = """
kind: calls
source: old_exchange
empty_values: ["0:00:00", NOBODY]
over_midnight: true
fields:
  external_id: [Day, Id]
  caller: {column: Caller, empty_values: ["0"]}
  priority: Priority
  queue: Queue
  agent: Agent
  began_at: {column: [Day, Began], format: "%Y-%m-%d %H:%M:%S", zone: Asia/Jerusalem}
  self_service_s: Menu
  enqueued_at: {column: [Day, Queued], format: "%Y-%m-%d %H:%M:%S", zone: Asia/Jerusalem}
  left_queue_at: {column: [Day, Left], format: "%Y-%m-%d %H:%M:%S", zone: Asia/Jerusalem}
  wait_s: Wait
  answered_at: {column: [Day, Served], format: "%Y-%m-%d %H:%M:%S", zone: Asia/Jerusalem}
  talk_s: Talk
  ended_at: {column: [Day, Ended], format: "%Y-%m-%d %H:%M:%S", zone: Asia/Jerusalem}
ending: {column: End, values: {AGENT: served, Hang: hung_up, GHOST: ignored}}
"""
ROW = {
    "Day": "1999-02-01", "Id": "7", "Caller": "55", "Priority": "2", "Queue": "PS", "Agent": "DORIT",
    "Began": "7:02:47", "Menu": "9", "Queued": "7:02:56", "Left": "7:03:16", "Wait": "20", "Served": "7:03:16",
    "Talk": "166", "Ended": "7:06:02", "End": "agent",
}  # fmt: skip


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def reader(plan: str = PLAN, header: list[str] | None = None) -> CallReader:
    return CallReader(mapping.parse(plan), header or list(ROW), digest=digest, country="TR")


def cells(**changed: str) -> list[str]:
    return list((ROW | changed).values())


def faults(**changed: str) -> dict[str, str]:
    with pytest.raises(BadRow) as bad:
        reader().read(cells(**changed))
    return bad.value.faults


def at(hour: int, minute: int, second: int, day: int = 1) -> datetime:
    """An instant in Israel, in its winter two hours ahead."""
    return datetime(1999, 2, day, hour, minute, second, tzinfo=UTC) - timedelta(hours=2)


class TestServed:
    def test_waited_and_was_served(self):
        call = reader().read(cells())

        assert (call.outcome, call.queue, call.agent, call.priority) == (Outcome.answered, "ps", "DORIT", 2)
        assert (call.began_at, call.enqueued_at, call.connected_at) == (at(7, 2, 47), at(7, 2, 56), at(7, 3, 16))
        assert (call.ended_at, call.wait_s, call.talk_s, call.self_service_s) == (at(7, 6, 2), 20, 166, 9)
        assert call.external_id == "1999-02-01 7"

    def test_never_queued_waited_for_no_time(self):
        call = reader().read(cells(Queued="0:00:00", Left="0:00:00", Wait="0"))

        assert (call.enqueued_at, call.wait_s) == (call.connected_at, 0)

    def test_seconds_that_are_told_count_for_more_than_clocks(self):
        assert reader().read(cells(Wait="19", Talk="165")).wait_s == 19

    def test_seconds_that_are_not_told_follow_from_clocks(self):
        call = reader().read(cells(Wait="", Talk=""))

        assert (call.wait_s, call.talk_s) == (20, 166)

    def test_without_an_instant_it_began_when_self_service_and_wait_were_over(self):
        call = reader().read(cells(Served="0:00:00", Ended="0:00:00", Queued="0:00:00", Wait="4", Talk="0"))

        assert (call.connected_at, call.ended_at) == (at(7, 3, 0), at(7, 3, 0))

    def test_nobody_is_no_agent(self):
        assert reader().read(cells(Agent="NOBODY")).agent is None


class TestHungUp:
    def test_in_the_queue_has_given_up(self):
        call = reader().read(cells(End="Hang", Served="0:00:00", Ended="0:00:00", Talk="0", Agent="NOBODY"))

        assert (call.outcome, call.wait_s, call.connected_at, call.talk_s) == (Outcome.abandoned, 20, None, None)
        assert (call.left_at, call.ended_at) == (at(7, 3, 16), at(7, 3, 16))

    def test_before_any_queue_has_left_self_service(self):
        call = reader().read(
            cells(End="HANG", Queued="0:00:00", Left="0:00:00", Wait="0", Served="0:00:00", Ended="0:00:00")
        )

        assert (call.outcome, call.queue, call.ended_at) == (Outcome.cancelled, None, at(7, 2, 56))
        assert call.stay(None) is None


class TestMidnight:
    def test_what_lies_half_a_day_back_is_of_the_day_after(self):
        call = reader().read(
            cells(Began="23:59:55", Queued="0:00:03", Left="0:00:23", Served="0:00:23", Ended="0:03:09")
        )

        assert (call.began_at, call.enqueued_at, call.ended_at) == (at(23, 59, 55), at(0, 0, 3, 2), at(0, 3, 9, 2))

    def test_a_place_dated_back_stays_before_the_begin(self):
        call = reader().read(cells(Queued="7:01:26", Menu="-81"))

        assert (call.enqueued_at, call.self_service_s) == (at(7, 1, 26), 0)


class TestRefused:
    def test_every_fault_is_told_at_once_and_no_cell_is_repeated(self):
        found = faults(End="?", Wait="soon", Began="noon", Priority="x")

        assert found == {
            "End": "not what a call of the mapping can come to",
            "Wait": "not a number of seconds",
            "Day Began": "not an instant in the format %Y-%m-%d %H:%M:%S",
            "Priority": "not a whole number",
        }

    @pytest.mark.parametrize(
        ("changed", "fault"),
        [
            ({"Began": "0:00:00"}, {"Day Began": "is missing"}),
            ({"Wait": "-3"}, {"Wait": "not a number of seconds"}),
            ({"Talk": "1e9"}, {"Talk": "not a number of seconds"}),
            ({"Queue": ""}, {"Queue": "not the code of a queue: letters, digits, . - _"}),
            ({"Queue": "Ürün hattı"}, {"Queue": "not the code of a queue: letters, digits, . - _"}),
            ({"Served": "6:00:00"}, {"Day Served": "lies before the begin of the call"}),
            ({"Day": "1999-02-31"}, dict.fromkeys(
                ("Day Began", "Day Queued", "Day Left", "Day Served", "Day Ended"),
                "not an instant in the format %Y-%m-%d %H:%M:%S")),
            ({"Agent": "a\x00b"}, {"row": "holds a NUL character"}),
            ({"Agent": "\udce9"}, {"row": "holds bytes that are not utf-8"}),
        ],
    )  # fmt: skip
    def test_says_what_is_wrong(self, changed, fault):
        assert faults(**changed) == fault

    @pytest.mark.parametrize(
        ("changed", "code"),
        [
            ({"End": "?"}, "ending_unknown"), ({"Wait": "soon"}, "seconds_invalid"),
            ({"Priority": "x"}, "number_invalid"), ({"Began": "0:00:00"}, "missing"),
            ({"Queue": "Ü"}, "queue_invalid"), ({"Served": "6:00:00"}, "order_invalid"),
            ({"Agent": "x" * 121}, "too_long"), ({"Began": "noon"}, "instant_invalid"),
        ],
    )  # fmt: skip
    def test_has_a_code_for_lists_and_counts(self, changed, code):
        assert fault_codes.codes(faults(**changed)) == [code]

    def test_a_short_row(self):
        with pytest.raises(BadRow, match="3 columns where the header has 15"):
            reader().read(["1999-02-01", "7", "55"])

    def test_a_file_without_the_columns(self):
        with pytest.raises(BadFile, match="no column 'Wait'"):
            reader(header=[name for name in ROW if name != "Wait"])

    def test_a_mapping_without_what_a_call_needs(self):
        with pytest.raises(MappingInvalid) as refused:
            mapping.parse(
                "kind: calls\nsource: a\nfields: {external_id: Id, queue: Q}\nending: {column: E, values: {}}"
            )

        assert refused.value.fields == {"fields.began_at": "is missing"}

    def test_a_mapping_for_something_else(self):
        with pytest.raises(MappingInvalid, match="for calls, not for leads"):
            mapping.require_kind(mapping.named("bank_calls"), "leads")
        with pytest.raises(MappingInvalid) as refused:
            mapping.parse("kind: cakes\nsource: a")
        assert refused.value.fields == {"kind": "one of leads, calls"}


class TestIgnored:
    def test_is_nothing_to_be_kept_whatever_else_it_says(self):
        assert reader().read(cells(End="ghost", Wait="soon")) is None


class TestContent:
    def test_is_the_same_however_often_it_is_read_and_another_when_anything_is(self):
        first = reader().read(cells())

        assert first.content_hash == reader().read(cells()).content_hash
        for column, other in (("Talk", "167"), ("Agent", "TOVA"), ("Caller", "56"), ("Priority", "1"), ("Queue", "NE")):
            assert first.content_hash != reader().read(cells(**{column: other})).content_hash, column

    def test_a_caller_is_known_by_a_hash_alone_and_nought_is_nobody(self):
        one, again, nobody = (
            reader().read(cells(Caller=who, Id=n)) for who, n in (("55", "1"), ("55", "2"), ("0", "3"))
        )

        assert one.caller_index == again.caller_index
        assert one.external_id != again.external_id
        assert nobody.caller_index is None
        assert "55" not in repr(one)


@given(st.dictionaries(st.sampled_from(list(ROW)), st.text(max_size=30)))
def test_any_row_is_a_call_or_has_faults(changed):
    with suppress(BadRow):
        call = reader().read(cells(**changed))
        assert call is None or (call.ended_at >= call.began_at - timedelta(minutes=5) and (call.wait_s or 0) >= 0)
