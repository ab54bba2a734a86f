"""The exchange's own records (CDR), read when a call ended unheard: how, and how long, stands there alone.

Asterisk's `cdr_csv` writes `Master.csv` with these columns when `cdr.conf` says `usegmtime = yes`, `loguniqueid = yes`:
https://docs.asterisk.org/Configuration/Reporting/Call-Detail-Records-CDR/. The numbers in it are read over.
"""

import csv
import io
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from crm.calls.facts import RecordWritten
from dialer.ami.translate import DIALLED

START, END, DURATION, BILLABLE, DISPOSITION, UNIQUE_ID = 9, 11, 12, 13, 14, 16
WRITTEN = "%Y-%m-%d %H:%M:%S"
LAST_BYTES = 4 << 20
"""How much of the file's end is read: some ten thousand calls."""


def of(path: Path, names: Collection[str]) -> list[RecordWritten]:
    """Return what the records tell of some calls, by the ids of their first legs; nothing where there is no file.

    Lines that are none are left out: the exchange may be in the middle of writing one.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LAST_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [fact for fact in _facts(text) if fact.leg_id in names]


def _facts(text: str) -> Iterator[RecordWritten]:
    for row in csv.reader(io.StringIO(text)):
        try:
            name = row[UNIQUE_ID]
            yield RecordWritten(
                call_id=name, leg_id=name, at=datetime.strptime(row[END], WRITTEN).replace(tzinfo=UTC),
                dialled=DIALLED[row[DISPOSITION]], duration_s=int(row[DURATION]), billable_s=int(row[BILLABLE]),
            )  # fmt: skip
        except (IndexError, KeyError, ValueError):
            continue
