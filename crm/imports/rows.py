"""From the cells of one row to a lead, by a mapping. No database, no clock: facts in, a lead or its faults out."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from crm import phone as phones
from crm.imports.cells import DAY_NUMBER, DAYS, BadRow, RowReader, instant
from crm.imports.mapping import Fields
from crm.imports.mapping import Mapping as LeadMapping
from crm.imports.parts import fold
from crm.leads.intake import Consent, NewLead
from crm.leads.rules import Status

EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]{2,}")
LONGEST = {"name": 200, "email": 254, "phone": 60, "country": 2, "language": 20, "external_id": 200}
"""Characters a field may have; what is not named may have `LONGEST_TEXT`."""
LONGEST_TEXT = 500
LONGEST_ATTRIBUTE = 2000
COUNTRY = re.compile(r"[A-Z]{2}")
PLAIN = (
    "external_id", "name", "email", "country", "language", "status", "loss_reason", "platform", "campaign", "adset",
    "ad", "form", "keyword", "geography", "acquired_at",
)  # fmt: skip


class Reader(RowReader):
    """Reads the rows of one file as leads; `unmapped` counts status values."""

    mapping: LeadMapping

    def __init__(self, mapping: LeadMapping, header: Sequence[str], **how: Any) -> None:
        """See `RowReader`. Numbers without a country code are from where the mapping says, else from `country`.

        :raises BadFile: when the file lacks columns that the mapping names.
        """
        super().__init__(mapping, header, **how)
        self._country = mapping.default_country or self._country
        self._texts = [
            (field, get, LONGEST.get(field, LONGEST_TEXT))
            for field in Fields.model_fields
            if field != "acquired_at" and (get := self._from(getattr(mapping.fields, field)))
        ]
        self._instant = self._from(mapping.fields.acquired_at)
        self._columns_of = {
            field: " ".join(getattr(mapping.fields, field).column) or field for field in Fields.model_fields
        }
        self._consents = [(self._cell(each.column), each) for each in mapping.consents]
        self._statuses = [(self._cell(each.column), each) for each in mapping.status]
        self._tags = [(self._cell(each.column) if each.column else None, each) for each in mapping.tags]
        self._attributes = [(name, column, self._cell(column)) for name, column in mapping.attributes.items()]

    def read(self, cells: Sequence[str]) -> NewLead:
        """Return the lead of one row, with its outside id and the hash of its content.

        :raises BadRow: with every fault that can be seen without dialling.
        """
        cells = self._squared(cells)
        faults: dict[str, str] = {}
        texts: dict[str, str] = {}
        for field, get, longest in self._texts:
            texts[field] = text = get(cells)
            if len(text) > longest:
                faults[self._columns_of[field]] = f"longer than {longest} characters"
        of = texts.get
        phone, email, country = of("phone", ""), of("email", "").lower(), of("country", "").upper()
        if email and not EMAIL.fullmatch(email):
            faults[self._columns_of["email"]] = "not an e-mail address, as in name@example.com"
        if not (phone or email or self.mapping.allow_anonymous):
            faults["row"] = "neither a phone number nor an e-mail address"
        if country and not COUNTRY.fullmatch(country):
            faults[self._columns_of["country"]] = "not a country of two letters, as in TR"
        acquired_at = self._acquired_at(cells, faults) if self._instant else None
        attributes = self._attributes_of(cells, faults) if self._attributes else {}
        if faults:
            raise BadRow(faults)
        status, loss_reason = self._status(cells) if self._statuses else (Status.new, None)
        lead: dict[str, Any] = {
            "external_id": of("external_id", ""),
            "name": of("name", ""),
            "phone": phone,
            "email": email,
            "country": country or self._country,
            "language": of("language") or None,
            "status": status,
            "loss_reason": loss_reason or of("loss_reason") or None,
            "platform": of("platform") or "unknown",
            "campaign": of("campaign") or None,
            "adset": of("adset") or None,
            "ad": of("ad") or None,
            "form": of("form") or None,
            "keyword": of("keyword") or None,
            "geography": of("geography") or None,
            "attributes": attributes,
            "tags": self._tags_of(cells) if self._tags else (),
            "consents": self._consents_of(cells) if self._consents else (),
            "acquired_at": acquired_at,
        }
        digest = self._content(lead)
        lead["external_id"] = lead["external_id"] or f"row-{digest.hex()[:40]}"
        return NewLead(self.mapping.source, content_hash=digest, import_id=self._import_id, **lead)

    def _content(self, lead: dict[str, Any]) -> bytes:
        """Return the hash of what a row says, however it is written."""
        return self._hashed(
            [
                lead["phone"].translate(phones.FORMATTING),
                *[str(lead[field] or "") for field in PLAIN],
                *lead["tags"],
                *[f"{each.channel}={each.status}" for each in lead["consents"]],
                *[f"{name}={text}" for name, text in lead["attributes"].items()],
            ]
        )

    def named(self, faults: Mapping[str, str]) -> dict[str, str]:
        """Return faults of fields as faults of the file's own columns."""
        return {self._columns_of.get(field, field): sentence for field, sentence in faults.items()}

    def _acquired_at(self, cells: Sequence[str], faults: dict[str, str]) -> datetime | None:
        text = self._instant(cells) if self._instant else ""
        if not text:
            return None
        try:
            return instant(text, self.mapping.fields.acquired_at)
        except (ValueError, OverflowError):
            form = self.mapping.fields.acquired_at.format
            sentence = DAY_NUMBER if DAYS.fullmatch(text) else f"not an instant in the format {form}"
            faults[self._columns_of["acquired_at"]] = sentence
            return None

    def _status(self, cells: Sequence[str]) -> tuple[Status, str | None]:
        for cell, table in self._statuses:
            if not (value := cell(cells)):
                continue
            if outcome := table.values.get(_fold(value)):
                return outcome.status, outcome.loss_reason
            if table.others == "note":
                self.unmapped[table.column, value[:LONGEST_TEXT]] += 1
        return Status.new, None

    def _consents_of(self, cells: Sequence[str]) -> list[Consent]:
        found = []
        for cell, column in self._consents:
            value = cell(cells)
            if value and (status := column.values.get(_fold(value))):
                found.append(Consent(column.channel, status, {"column": column.column, "value": value[:LONGEST_TEXT]}))
        return found

    def _tags_of(self, cells: Sequence[str]) -> list[str]:
        found: dict[str, None] = {}
        for cell, tags in self._tags:
            text = (cell(cells) if cell else "") or tags.value
            for part in text.split(tags.split) if tags.split else [text]:
                if part.strip():
                    found[part.strip()[:100]] = None
        return list(found)

    def _attributes_of(self, cells: Sequence[str], faults: dict[str, str]) -> dict[str, str]:
        found = {}
        for name, column, cell in self._attributes:
            if text := cell(cells):
                if len(text) > LONGEST_ATTRIBUTE:
                    faults[column] = f"longer than {LONGEST_ATTRIBUTE} characters"
                found[name] = text
        return found


_fold = lru_cache(maxsize=4096)(fold)
