"""What the tests of tables ask, in words: dbt's names of them are made for machines."""

import re
from collections.abc import Mapping
from typing import Any


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
