"""What was wrong with a row, as codes for lists and counts; the sentences are for people."""

from collections.abc import Mapping

from crm.imports.cells import DAY_NUMBER

CODES: tuple[tuple[str, str], ...] = (
    ("longer than", "too_long"),
    ("not an e-mail address", "email_invalid"),
    ("a number with its country code", "phone_invalid"),
    ("neither a phone number nor", "unreachable"),
    ("not a country of two letters", "country_invalid"),
    ("not an instant", "instant_invalid"),
    (DAY_NUMBER, "instant_invalid"),
    ("holds a NUL", "unreadable"),
    ("holds bytes that are not", "unreadable"),
    ("unreadable", "unreadable"),
    ("the whole record is wrapped", "wrapped"),
    ("the database cannot hold it", "unstorable"),
    ("not a number of seconds", "seconds_invalid"),
    ("not what a call of the mapping", "ending_unknown"),
    ("lies before", "order_invalid"),
    ("is missing", "missing"),
    ("not the code of a queue", "queue_invalid"),
    ("not a whole number", "number_invalid"),
)
"""How a sentence begins, and its code."""
COLUMNS = " columns where the header has "
OTHER = "row_invalid"


def code_of(sentence: str) -> str:
    """Return the code of one fault's sentence."""
    if COLUMNS in sentence:
        return "column_count"
    return next((code for begins, code in CODES if sentence.startswith(begins)), OTHER)


def codes(faults: Mapping[str, str]) -> list[str]:
    """Return the codes of a row's faults, each once."""
    return sorted({code_of(sentence) for sentence in faults.values()})
