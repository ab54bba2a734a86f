"""From the cells of one row to a call that another system handled, by a mapping. No database, no clock."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from crm.calls.history import PastCall
from crm.calls.story import Outcome
from crm.imports.call_mapping import CallFields, CallMapping, Ending
from crm.imports.cells import BadRow, RowReader, told
from crm.imports.parts import fold

INSTANTS = ("began_at", "enqueued_at", "left_queue_at", "answered_at", "ended_at")
SECONDS = ("self_service_s", "wait_s", "talk_s")
LONGEST = {"external_id": 200, "caller": 200, "queue": 60, "agent": 120, "priority": 3}
"""Characters a field may have."""
NUMBER = re.compile(r"\d{1,7}(?:\.\d{1,6})?")
SIGNED = frozenset({"self_service_s"})
"""Below nought where a place in the queue was dated back before the begin of the call: then there was none of it."""
QUEUE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
HALF_A_DAY = timedelta(hours=12)
SLACK = timedelta(minutes=5)
"""How far before its begin something of a call may lie: clocks disagree, and some systems date a priority caller's
place in the queue back."""

Times = dict[str, datetime | None]
Seconds = dict[str, float | None]


class CallReader(RowReader):
    """Reads the rows of one file as calls."""

    mapping: CallMapping

    def __init__(self, mapping: CallMapping, header: Sequence[str], **how: Any) -> None:
        """See `RowReader`.

        :raises crm.imports.cells.BadFile: when the file lacks columns that the mapping names.
        """
        super().__init__(mapping, header, **how)
        fields = mapping.fields
        self._texts = {name: self._from(getattr(fields, name)) for name in (*LONGEST, *SECONDS)}
        self._instants = {name: [self._cell(each) for each in getattr(fields, name).column] for name in INSTANTS}
        self._columns_of = {name: " ".join(getattr(fields, name).column) or name for name in CallFields.model_fields}
        self._ending = self._cell(mapping.ending.column)

    def read(self, cells: Sequence[str]) -> PastCall | None:
        """Return the call of one row; None for one that the mapping ignores.

        :raises BadRow: with every fault that can be seen in it.
        """
        cells = self._squared(cells)
        ending = self.mapping.ending.values.get(fold(self._ending(cells)))
        if ending is Ending.ignored:
            return None
        faults: dict[str, str] = {}
        if ending is None:
            faults[self.mapping.ending.column] = "not what a call of the mapping can come to"
        texts = {name: self._text(name, cells, longest, faults) for name, longest in LONGEST.items()}
        seconds = {name: self._seconds(name, cells, faults) for name in SECONDS}
        times = self._times(cells, faults)
        self._require(ending, texts, times, faults)
        if faults or ending is None:
            raise BadRow(faults)
        return self._call(ending, texts, seconds, times)

    def named(self, faults: Mapping[str, str]) -> dict[str, str]:
        """Return faults of fields as faults of the file's own columns."""
        return {self._columns_of.get(field, field): sentence for field, sentence in faults.items()}

    def _text(self, name: str, cells: Sequence[str], longest: int, faults: dict[str, str]) -> str:
        get = self._texts[name]
        text = get(cells) if get else ""
        if len(text) > longest:
            faults[self._columns_of[name]] = f"longer than {longest} characters"
        return text

    def _seconds(self, name: str, cells: Sequence[str], faults: dict[str, str]) -> float | None:
        text = self._text(name, cells, 20, faults)
        if name in SIGNED and text.startswith("-") and NUMBER.fullmatch(text[1:]):
            return 0.0
        if text and not NUMBER.fullmatch(text):
            faults[self._columns_of[name]] = "not a number of seconds"
            return None
        return float(text) if text else None

    def _times(self, cells: Sequence[str], faults: dict[str, str]) -> Times:
        """Return a call's instants in UTC; one of several columns is there when each of them is."""
        found: Times = dict.fromkeys(INSTANTS)
        began: datetime | None = None
        for name, columns in self._instants.items():
            parts = [cell(cells) for cell in columns]
            if not parts or not all(parts):
                continue
            how = getattr(self.mapping.fields, name)
            try:
                at = told(" ".join(parts), how.format)
                at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(how.zone))
                if self.mapping.over_midnight and began is not None and at < began - HALF_A_DAY:
                    at += timedelta(days=1)
                found[name] = at.astimezone(UTC)
            except (ValueError, OverflowError):
                faults[self._columns_of[name]] = f"not an instant in the format {how.format}"
            began = at if name == "began_at" and found[name] else began
        return found

    def _require(self, ending: Ending | None, texts: Mapping[str, str], times: Times, faults: dict[str, str]) -> None:
        """Add the faults of a row as a whole."""
        column = self._columns_of
        if times["began_at"] is None:
            faults.setdefault(column["began_at"], "is missing")
        if texts["priority"] and not texts["priority"].isdecimal():
            faults[column["priority"]] = "not a whole number"
        waited = ending is Ending.served or times["enqueued_at"] is not None
        if waited and not QUEUE.fullmatch(texts["queue"].lower()):
            faults[column["queue"]] = "not the code of a queue: letters, digits, . - _"
        for name in INSTANTS[1:]:
            begin, at = times["began_at"], times[name]
            if begin and at and at < begin - SLACK:
                faults[column[name]] = "lies before the begin of the call"

    def _call(self, ending: Ending, texts: Mapping[str, str], seconds: Seconds, times: Times) -> PastCall:
        made: dict[str, Any] = {
            "source": self.mapping.source,
            "external_id": texts["external_id"],
            "zone": self.mapping.fields.began_at.zone,
            "queue": texts["queue"].lower() or None,
            "agent": texts["agent"] or None,
            "priority": int(texts["priority"] or 0),
            "began_at": times["began_at"],
            "self_service_s": seconds["self_service_s"],
            **_course(ending, seconds, times),
        }
        digest = self._hashed([*(str(value) for value in made.values()), texts["caller"]])
        made["external_id"] = made["external_id"] or f"row-{digest.hex()[:40]}"
        caller = self._hashed(["caller", self.mapping.source, texts["caller"]]) if texts["caller"] else None
        return PastCall(**made, caller_index=caller, content_hash=digest, import_id=self._import_id)


def _course(ending: Ending, seconds: Seconds, times: Times) -> dict[str, Any]:
    """Return what became of a call; seconds that are told count for more than the difference of instants."""
    if ending is Ending.served:
        return _served(seconds, times)
    if times["enqueued_at"] is not None:
        return _gave_up(seconds, times["enqueued_at"], times["left_queue_at"])
    began = times["began_at"] or datetime.min.replace(tzinfo=UTC)
    ended = times["ended_at"] or began + timedelta(seconds=seconds["self_service_s"] or 0)
    return {"outcome": Outcome.cancelled, "ended_at": ended, "queue": None}


def _served(seconds: Seconds, times: Times) -> dict[str, Any]:
    """Somebody took it; a call that never queued waited for no time, from the instant on at which it was taken."""
    enqueued, answered, ended = times["enqueued_at"], times["answered_at"], times["ended_at"]
    if answered is None:
        began = times["began_at"] or datetime.min.replace(tzinfo=UTC)
        ready = enqueued or began + timedelta(seconds=seconds["self_service_s"] or 0)
        answered = ready + timedelta(seconds=seconds["wait_s"] or 0)
    wait = _either(seconds["wait_s"], enqueued, answered)
    talk = _either(seconds["talk_s"], answered, ended)
    return {
        "outcome": Outcome.answered,
        "enqueued_at": enqueued or answered - timedelta(seconds=wait),
        "left_at": answered,
        "connected_at": answered,
        "ended_at": ended or answered + timedelta(seconds=talk),
        "wait_s": wait,
        "talk_s": talk,
    }


def _gave_up(seconds: Seconds, enqueued: datetime, left: datetime | None) -> dict[str, Any]:
    """The caller hung up in the queue."""
    wait = _either(seconds["wait_s"], enqueued, left)
    left = left or enqueued + timedelta(seconds=wait)
    return {
        "outcome": Outcome.abandoned, "enqueued_at": enqueued, "left_at": left, "ended_at": left, "wait_s": wait,
    }  # fmt: skip


def _either(told_s: float | None, begin: datetime | None, end: datetime | None) -> float:
    """Return seconds as told, else between two instants."""
    if told_s is not None:
        return told_s
    return max(0.0, (end - begin).total_seconds()) if begin and end else 0.0
