"""The figures of a page as a file: what was shown, with the definitions and the publication it is of."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from dashboards import catalogue, names, session, words
from dashboards.figures import Ask, Figures
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
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A text that begins so would be a formula to a spreadsheet."""
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def offer(page: str, asks: Iterable[Ask], found: Figures, scope: Scope) -> None:
    """Show the button whose menu saves the figures of a page that were asked for."""
    name = f"santral-{page}-{scope.first}-{scope.last}"

    def rows() -> list[tuple[Any, ...]]:
        return list(dict.fromkeys(_rows(asks, found, scope)))  # what stands on a page twice is saved once

    with st.popover(say("download"), icon=":material/download:"):
        st.download_button(
            say("download.csv"), _later(lambda: _csv(rows())), f"{name}.csv", "text/csv", key="csv", width="stretch",
            on_click="ignore", icon=":material/csv:",
        )  # fmt: skip
        st.download_button(
            say("download.excel"), _later(lambda: _excel(rows())), f"{name}.xlsx", EXCEL, key="excel", width="stretch",
            on_click="ignore", icon=":material/table:",
        )  # fmt: skip
        st.caption(say("download.help"))


def _later(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """Return what makes a file once it is wanted: then a thread of the server asks, which does not know whose visit."""
    visit = get_script_run_ctx()

    def made() -> bytes:
        with ThreadPoolExecutor(1, initializer=add_script_run_ctx, initargs=(None, visit)) as thread:
            return thread.submit(make).result()

    return made


def _rows(asks: Iterable[Ask], found: Figures, scope: Scope) -> Iterator[tuple[Any, ...]]:
    for ask in dict.fromkeys(asks):
        of = scope.before() if ask.is_before else scope
        for row in found[ask].rows:
            for name in ask.metrics:
                if name in row:
                    yield _cells(of, ask.grain or "", name, row)


def _cells(scope: Scope, grain: str, name: str, row: dict[str, Any]) -> tuple[Any, ...]:
    known = catalogue.catalogue()[name]
    dims = [dim for dim in row if dim in known.dimensions]
    by, value_of = (
        ", ".join(words.name_of("", dim) for dim in dims),
        ", ".join(names.label(dim, row[dim]) for dim in dims),
    )
    period = date.fromisoformat(row["metric_time"][:10]) if row.get("metric_time") else None
    return (name, known.label, scope.first, scope.last, say(f"grain.{grain}") if grain else None, period, by,
            _harmless(value_of), row[name], _unit(known.unit), row.get("is_mature"), _as_of())  # fmt: skip


def _unit(unit: str) -> str:
    return str(session.me().get("currency") or unit) if unit.startswith("money") else unit


def _as_of() -> datetime | None:
    """Return the publication's instant on the clinic's clock; a spreadsheet knows no zones."""
    published = catalogue.publication()
    return datetime.fromisoformat(published).astimezone(words.ZONE).replace(tzinfo=None) if published else None


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(DANGEROUS) else text


def _csv(rows: list[tuple[Any, ...]]) -> bytes:
    """Return UTF-8 with its mark, by which Excel knows Turkish letters; separators as the language's Excel reads."""
    is_turkish = words.language() == "tr"
    out = io.StringIO(newline="")
    # In quotes all of it: a comma in a name must not begin a cell, and so a formula, where commas divide cells.
    writer = csv.writer(out, delimiter=";" if is_turkish else ",", quoting=csv.QUOTE_ALL)
    writer.writerow([say(f"file.{head}") for head in HEADS])
    writer.writerows([_plain(cell, is_turkish) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _plain(cell: Any, is_turkish: bool) -> Any:
    if isinstance(cell, bool):
        return say("yes" if cell else "no")
    if isinstance(cell, float) and is_turkish:
        return str(cell).replace(".", ",")
    return "" if cell is None else cell


def _excel(rows: list[tuple[Any, ...]]) -> bytes:
    """Return a workbook of two sheets, figures and definitions; numbers are numbers, days are days."""
    import xlsxwriter

    out = io.BytesIO()
    safe = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True}
    with xlsxwriter.Workbook(out, safe) as book:
        _sheet(book, say("file.figures"), HEADS, rows)
        known = [catalogue.catalogue()[name] for name in dict.fromkeys(row[0] for row in rows)]
        said = [(one.name, one.label, one.description, one.formula, " ".join(one.edge_cases), one.owner, one.unit,
                 one.maturity_days) for one in known]  # fmt: skip
        heads = ("metric", "label", "description", "formula", "edge_cases", "owner", "unit", "maturity_days")
        _sheet(book, say("file.definitions"), heads, said)
    return out.getvalue()


SHAPES = {
    "share": "0.0%",
    "seconds": "#,##0.0",
    "days": "#,##0.0",
    "TRY": "#,##0.00",
    "EUR": "#,##0.00",
    "USD": "#,##0.00",
}
"""How values of a unit are shown in a workbook, which writes its separators as its reader's machine does."""


def _sheet(book: Any, title: str, heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    sheet = book.add_worksheet(title)
    sheet.write_row(0, 0, [say(f"file.{head}") for head in heads], book.add_format({"bold": True}))
    formats = {key: book.add_format({"num_format": shape}) for key, shape in SHAPES.items()}
    day, instant = (book.add_format({"num_format": shape}) for shape in ("yyyy-mm-dd", "yyyy-mm-dd hh:mm"))
    for place, row in enumerate(rows, 1):
        for at, cell in enumerate(row):
            match cell:
                case datetime():
                    sheet.write_datetime(place, at, cell, instant)
                case date():
                    sheet.write_datetime(place, at, cell, day)
                case float() | int() if heads[at] == "value":
                    sheet.write(place, at, cell, formats.get(row[heads.index("unit")]))
                case bool():
                    sheet.write(place, at, say("yes" if cell else "no"))
                case _:
                    sheet.write(place, at, cell)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(len(rows), 1), len(heads) - 1)
    sheet.autofit()
