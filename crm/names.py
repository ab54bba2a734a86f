"""Names of people, folded for search: Turkish and other letters become plain ones, in Python (no ICU needed)."""

import re
import unicodedata

SPECIAL = str.maketrans(
    {"ı": "i", "İ": "i", "I": "i", "ß": "ss", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d"}
)

MARKS = re.compile("[\u0300-\u036f]+")
"""The marks that European letters come apart into."""


def fold(name: str) -> str:
    """Return a name in lower case without diacritics or double spaces: `Çağla İNCİ` and `cagla inci` meet."""
    if name.isascii():
        return " ".join(name.lower().split())
    plain = MARKS.sub("", unicodedata.normalize("NFKD", name.translate(SPECIAL)))
    if plain.isascii():
        return " ".join(plain.lower().split())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).lower().split())
