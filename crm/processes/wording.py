"""Placeholders in what agents say: which there are, and the text with them filled in. No database, no clock."""

import re
from collections.abc import Mapping

from crm.processes.definition import Label

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
KNOWN: dict[str, dict[str, str]] = {
    "contact.name": {"tr": "müşterimiz", "en": "our customer"},
    "agent.name": {"tr": "temsilciniz", "en": "your agent"},
    "firm.name": {"tr": "firmamız", "en": "our firm"},
    "lead.campaign": {"tr": "kampanyamız", "en": "our campaign"},
    "lead.form": {"tr": "başvurunuz", "en": "your enquiry"},
    "lead.source": {"tr": "başvurunuz", "en": "your enquiry"},
}
"""What a text may name, each with the words that stand where it is not known."""


def filled(label: Label, facts: Mapping[str, str | None]) -> dict[str, str]:
    """Return a text in both languages with its placeholders filled in. What a fact holds is never read again."""
    return {language: _filled(text, language, facts) for language, text in (("tr", label.tr), ("en", label.en))}


def _filled(text: str, language: str, facts: Mapping[str, str | None]) -> str:
    return PLACEHOLDER.sub(lambda found: facts.get(found[1]) or KNOWN[found[1]][language], text)


def initials(name: str) -> str:
    """Return a name as whoever may not see the person sees it: `Ayşe Yılmaz` → `A. Y.`"""
    return " ".join(f"{part[0]}." for part in name.split())
