"""Records of calls as files: CSV for spreadsheets, Parquet for programs."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from crm.calls.cdr import COLUMNS
from crm.spreadsheets import escape

INSTANTS = frozenset(name for name in COLUMNS if name.endswith(("_at", "_until")))
SECONDS = frozenset({"ring_s", "talk_s", "held_s"})


def as_csv(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file with a header; instants in ISO 8601, UTC."""
    yield _line(COLUMNS)
    for row in rows:
        yield _line([_cell(row[name]) for name in COLUMNS])


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return escape(value.isoformat() if isinstance(value, datetime) else str(value))


def as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a Parquet file; ids are text, instants have their zone (UTC)."""
    import polars as pl  # big, and few ask for it

    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, pl.String) | dict.fromkeys(INSTANTS, pl.Datetime("us", "UTC"))
    kinds |= dict.fromkeys(SECONDS, pl.Float64) | {"cause": pl.Int32, "is_disposition_forced": pl.Boolean}
    columns = {name: [str(cell) if isinstance(cell := row[name], UUID) else cell for row in rows] for name in COLUMNS}
    out = io.BytesIO()
    pl.DataFrame(columns, schema=kinds).write_parquet(out)
    return out.getvalue()
