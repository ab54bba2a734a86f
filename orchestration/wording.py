"""What the tests of tables ask, and why a table could not be built of a firm's rows, in words: dbt's names of tests and
PostgreSQL's codes are made for machines, and its messages hold what was in the rows."""

import re
from collections.abc import Mapping
from typing import Any

IS_BUILT = ("Every firm's rows of it can be built.", "Her firmanın satırları kurulabilir.")
"""What is asked of every table that dbt builds."""
WAITS = "waits"
"""Stands for a code where a table was not tried: one that it is made of could not be built."""
BROKEN: Mapping[str, tuple[str, str]] = {
    WAITS: ("a table that it is made of could not be built", "dayandığı bir tablo kurulamadı"),
    "21000": ("there are several rows where one belongs", "tek satır olması gereken yerde birden çok satır var"),
    "22003": ("a number is too large", "bir sayı sığmayacak kadar büyük"),
    "22007": ("a date or a time cannot be read", "bir tarih ya da saat okunamıyor"),
    "22008": ("a date or a time is out of range", "bir tarih ya da saat olabilecek aralığın dışında"),
    "22012": ("something is divided by zero", "bir değer sıfıra bölünüyor"),
    "22023": ("a value is none of those there are, as a time zone", "bir değer, saat dilimi gibi, bilinenlerden değil"),
    "22P02": ("a value is not of the kind of its column", "bir değer sütununun türünden değil"),
    "23502": ("a value is missing", "bir değer eksik"),
    "23505": ("a key comes twice", "bir anahtar iki kez geliyor"),
}
"""Why PostgreSQL could not build rows, by its code of the error (SQLSTATE), in English and in Turkish."""


def broken(code: str) -> tuple[str, str]:
    """Return why rows could not be built, in English and in Turkish: PostgreSQL's code of the error in words."""
    en, tr = BROKEN.get(code, ("a value cannot be reckoned with", "bir değerle hesap yapılamıyor"))
    return (en, tr) if code == WAITS else (f"{en} ({code})", f"{tr} ({code})")


def asked(test: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a dbt test asks, as a sentence in English and in Turkish; of one that has a name of its own, that
    name in words."""
    found = test.get("test_metadata") or {}
    told = found.get("kwargs") or {}
    column, columns = told.get("column_name", ""), ", ".join(told.get("columns") or ())
    match found.get("name"):
        case "not_null":
            return f"Every row has {column}.", f"Her satırda {column} vardır."
        case "unique":
            return f"No two rows have the same {column}.", f"Hiçbir iki satırın {column} değeri aynı değildir."
        case "unique_together":
            return f"No two rows have the same {columns}.", f"Hiçbir iki satırın {columns} değerleri aynı değildir."
        case "accepted_values":
            values = ", ".join(str(value) for value in told.get("values") or ())
            return f"{column} is one of {values}.", f"{column} şunlardan biridir: {values}."
        case "relationships" | "belongs_to":
            child, parent = column or columns, _table(told.get("to", ""))
            return f"Every {child} is known to {parent}.", f"Her {child} {parent} tablosunda vardır."
        case "leads_arrive":
            share = round(100 * float(told["share"]))
            return (
                f"A day later at least {share} % of the leads that an advertising platform reports are here.",
                f"Reklam platformunun bildirdiği başvuruların en az %{share} kadarı bir gün sonra buradadır.",
            )
        case "holds":
            condition = told.get("condition", "")
            return f"{_in_words(test)}: `{condition}`.", f"Her satırda şu koşul tutar: `{condition}`."
    return f"{_in_words(test)}.", f"Sınama: {_in_words(test)}."


def _table(reference: str) -> str:
    """Return the table that `ref('dim_team')` names."""
    return re.sub(r".*\(\s*'([^']+)'\s*\).*", r"\1", reference)


def _in_words(test: Mapping[str, Any]) -> str:
    """Return a test's name without its table's, as words."""
    name = str(test.get("name", ""))
    tables = [str(each).rpartition(".")[2] for each in (test.get("depends_on") or {}).get("nodes", ())]
    for table in tables:
        name = name.removeprefix(f"{table}_")
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
