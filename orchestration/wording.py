"""What the tests of tables ask, in words: dbt's names of them are made for machines."""

import re
from collections.abc import Mapping
from typing import Any


def asked(test: Mapping[str, Any]) -> str:
    """Return what a dbt test asks, as a sentence; of one that has a name of its own, that name in words."""
    found = test.get("test_metadata") or {}
    told = found.get("kwargs") or {}
    column, columns = told.get("column_name", ""), ", ".join(told.get("columns") or ())
    match found.get("name"):
        case "not_null":
            return f"Every row has {column}."
        case "unique":
            return f"No two rows have the same {column}."
        case "unique_together":
            return f"No two rows have the same {columns}."
        case "accepted_values":
            return f"{column} is one of {', '.join(str(value) for value in told.get('values') or ())}."
        case "relationships":
            return f"Every {column} is known to {_table(told.get('to', ''))}."
        case "belongs_to":
            return f"Every {columns} is known to {_table(told.get('to', ''))}."
        case "holds":
            return f"{_in_words(test)}: `{told.get('condition', '')}`."
    return f"{_in_words(test)}."


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
