"""What a page saves: each kind of file opened by a program that did not write it."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import fastexcel
from PIL import Image

from tests.dashboards.conftest import Visit
from tests.dashboards.told import Api
from tests.dashboards.walk import BOARDS

Saved = Counter[tuple[str, str, str, float]]
"""How often a file says: metric, first day, period, value."""


async def files_are_true(visit: Visit, api: Api) -> None:
    """The files of the first page hold the figures that the API tells, no more and no less; its charts are pictures."""
    told = api.file(BOARDS[0])
    await visit.page.get_by_role("button", name="İndir").click()
    assert _of_csv(await _save(visit, "CSV olarak indir")) == told
    assert _of_excel(await _save(visit, "Excel olarak indir")) == told
    await visit.page.keyboard.press("Escape")
    chart = visit.page.get_by_test_id("stVegaLiteChart").first
    await chart.hover()
    with Image.open(await _save(visit, "Grafiği kaydet (PNG)")) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100
        assert len(picture.convert("RGB").getcolors(100_000) or range(100_000)) > 10, "something is drawn"


async def _save(visit: Visit, button: str) -> Path:
    async with visit.page.expect_download(timeout=90_000) as saving:
        await visit.page.get_by_role("button", name=button).locator("visible=true").first.click()
    return Path(await (await saving.value).path())


def _of_csv(path: Path) -> Saved:
    """Read a file as a Turkish spreadsheet does."""
    rows = csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), delimiter=";")
    return _counted(next(rows), [[*row] for row in rows], lambda text: float(text.replace(",", ".")))


def _of_excel(path: Path) -> Saved:
    book = fastexcel.read_excel(path.read_bytes())
    assert book.sheet_names == ["Rakamlar", "Tanımlar"]
    figures, definitions = (book.load_sheet(name).to_arrow().to_pylist() for name in book.sheet_names)
    assert {row["Anahtar"] for row in figures} == {row["Anahtar"] for row in definitions if row["Formül"]}
    return _counted(list(figures[0]), [[*row.values()] for row in figures], float)


def _counted(heads: list[str], rows: list[list[Any]], number: Any) -> Saved:
    places = [heads.index(name) for name in ("Anahtar", "İlk gün", "Dönem", "Değer")]
    found: Saved = Counter()
    for row in rows:
        metric, first, period, value = (row[place] for place in places)
        if value not in (None, ""):
            found[metric, str(first)[:10], str(period or "")[:10], float(f"{number(value):.12g}")] += 1
    return found
