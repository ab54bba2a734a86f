"""The figures of a page as a file: what was shown, with the definitions and the publication it is of."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import streamlit as st

from dashboards import catalogue, queries
from dashboards.figures import Figures
from dashboards.layout import Board
from dashboards.queries import Scope
from dashboards.words import say

HEADS = (
    "metric",
    "label",
    "from",
    "to",
    "grain",
    "period",
    "dimension",
    "value_of",
    "value",
    "unit",
    "is_final",
    "as_of",
)
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins so would be a formula to a spreadsheet."""
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def offer(board: Board, found: Figures, scope: Scope, grain: str) -> None:
    """Show the button whose menu saves the page's figures."""
    name = f"santral-{board.key}-{scope.first}-{scope.last}"
    rows = list(_rows(board, found, scope, grain))
    with st.popover(say("download"), icon=":material/download:", help=say("download.help")):
        st.download_button(
            say("download.csv"), lambda: _csv(rows), f"{name}.csv", "text/csv", key="csv", width="stretch",
            on_click="ignore", icon=":material/csv:",
        )  # fmt: skip
        st.download_button(
            say("download.excel"), lambda: _excel(rows), f"{name}.xlsx", EXCEL, key="excel", width="stretch",
            on_click="ignore", icon=":material/table:",
        )  # fmt: skip
        st.caption(say("download.help"))


def _rows(board: Board, found: Figures, scope: Scope, grain: str) -> Iterator[tuple[Any, ...]]:
    for ask in dict.fromkeys(board.asks(grain)):
        of = scope.before() if ask.is_before else scope
        for row in found[ask].rows:
            for name in ask.metrics:
                if name in row:
                    yield _cells(of, ask.grain or "", name, row)


def _cells(scope: Scope, grain: str, name: str, row: dict[str, Any]) -> tuple[Any, ...]:
    known = catalogue.catalogue()[name]
    dims = [dim for dim in row if dim in known.dimensions]
    by, value_of = ", ".join(dims), _harmless(", ".join(queries.label(dim, row[dim]) for dim in dims))
    period = row.get("metric_time", "")
    first, last = scope.first.isoformat(), scope.last.isoformat()
    is_final = "" if row.get("is_mature") is None else row["is_mature"]
    return (name, known.label, first, last, grain, period, by, value_of, row[name], known.unit, is_final,
            queries.publication())  # fmt: skip


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(DANGEROUS) else text


def _csv(rows: list[tuple[Any, ...]]) -> bytes:
    """Return UTF-8 with its mark, by which Excel knows Turkish letters."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(HEADS)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def _excel(rows: list[tuple[Any, ...]]) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        bold = book.add_format({"bold": True})
        _sheet(book.add_worksheet("figures"), HEADS, rows, bold)
        known = [catalogue.catalogue()[name] for name in dict.fromkeys(row[0] for row in rows)]
        said = [(one.name, one.label, one.description, one.formula, " ".join(one.edge_cases), one.owner, one.unit,
                 one.maturity_days) for one in known]  # fmt: skip
        heads = ("metric", "label", "description", "formula", "edge_cases", "owner", "unit", "maturity_days")
        _sheet(book.add_worksheet("definitions"), heads, said, bold)
    return out.getvalue()


def _sheet(sheet: Any, heads: tuple[str, ...], rows: list[tuple[Any, ...]], bold: Any) -> None:
    sheet.write_row(0, 0, heads, bold)
    for place, row in enumerate(rows, 1):
        sheet.write_row(place, 0, row)
    sheet.freeze_panes(1, 0)
    sheet.autofit()
