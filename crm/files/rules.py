"""What a file may be: its class, its type by what is in it, its name. No database, no clock."""

import codecs
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

import puremagic

from crm import errors, vault
from crm.files import archives

HEAD = 8192
"""Bytes by which a type is recognised."""
LONGEST_NAME = 120


class Class(StrEnum):
    """How much a file tells of a person; `health` (pictures of a body, findings) is special data by KVKK art. 6."""

    general = "general"
    identity = "identity"
    health = "health"


VIEW = "attachment.view"
VIEW_HEALTH = "attachment.view.health"

NEEDED: dict[Class, tuple[str, ...]] = {
    Class.general: (VIEW,),
    Class.identity: (VIEW,),
    Class.health: (VIEW, VIEW_HEALTH),
}
"""Permissions that opening a file of a class needs, all of them."""


class TypeNotTaken(errors.Invalid):
    """Files of this type are not taken: pictures, PDF, Word, Excel, text and sound are."""

    code = "attachment.type"


@dataclass(frozen=True, slots=True)
class Type:
    """A type of file: its MIME type and the ending its name gets."""

    mime: str
    ending: str


JPEG, PNG, WEBP = Type("image/jpeg", ".jpg"), Type("image/png", ".png"), Type("image/webp", ".webp")
PDF, TEXT = Type("application/pdf", ".pdf"), Type("text/plain", ".txt")
DOCX = Type("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx")
XLSX = Type("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx")
MP3, OGG, WAV = Type("audio/mpeg", ".mp3"), Type("audio/ogg", ".ogg"), Type("audio/wav", ".wav")

TAKEN: dict[str, Type] = {
    "image/jpeg": JPEG,
    "image/png": PNG,
    "image/webp": WEBP,
    "application/pdf": PDF,
    "audio/mpeg": MP3,
    "application/ogg": OGG,
    "audio/ogg": OGG,
    "audio/wave": WAV,
    "audio/x-wav": WAV,
}
"""By what puremagic calls them. Packed documents and text are looked into further."""

PACKED: dict[str, Type] = {"word/document.xml": DOCX, "xl/workbook.xml": XLSX}
"""The part that makes a packed document what it is."""
MACROS = re.compile(r"vbaproject\.bin$|^xl/macrosheets/", re.IGNORECASE)
"""Parts in which a document carries programs."""

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
"""What is in no text."""
RUNS = re.compile(r"<\s*(?:[?%]|!doctype|html|head|body|script|svg|iframe|object|embed|hta:)|\A(?:#!|@echo)", re.I)
"""What is a page, a drawing or a program, whatever stands before it."""
PIECE = 1024 * 1024
LONGEST_MARK = 64
"""Characters of one piece of a text that are looked at again with the next one, so that no border hides a mark."""


def type_of(file: BinaryIO) -> Type:
    """Return what a file is, by its content alone; whatever its name says counts for nothing.

    :raises TypeNotTaken: when it is nothing we take, among it documents with macros, archives that cannot be read
        safely, and files that are two at once.
    """
    file.seek(0)
    head = file.read(HEAD)
    if head.startswith(b"PK"):
        return _packed(file)
    if archives.hides_in(file):
        raise TypeNotTaken(fields={"file": "a file that is an archive as well"})
    try:
        guesses = [guess.mime_type for guess in puremagic.magic_string(head) if guess.mime_type]
    except (puremagic.PureError, ValueError):
        return _text(file)
    if guesses and guesses[0] in TAKEN:  # the surest first: a weaker guess must not make a video a picture
        return TAKEN[guesses[0]]
    raise TypeNotTaken(fields={"file": "a picture, PDF, Word, Excel, text or sound file"})


def _packed(file: BinaryIO) -> Type:
    try:
        parts = archives.parts_of(file)
    except archives.BadArchive as error:
        raise TypeNotTaken(fields={"file": str(error)}) from error
    if any(MACROS.search(part) for part in parts):
        raise TypeNotTaken(fields={"file": "documents with macros are not taken"})
    found = [kind for part, kind in PACKED.items() if part in parts and "[Content_Types].xml" in parts]
    if len(found) != 1:
        raise TypeNotTaken(fields={"file": "archives are not taken; send the files in it"})
    return found[0]


def _text(file: BinaryIO) -> Type:
    """Return text for what is UTF-8 without control characters and runs nowhere; it is read to its end, by pieces."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    held, is_empty = "", True
    try:
        while raw := file.read(PIECE):
            held += decoder.decode(raw)
            is_empty = is_empty and not held
            if CONTROL.search(held) or RUNS.search(held):
                raise TypeNotTaken(fields={"file": "neither a known type nor plain text"})
            held = " " + held[-LONGEST_MARK:]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise TypeNotTaken(fields={"file": "neither a known type nor text in UTF-8"}) from error
    if is_empty:
        raise TypeNotTaken(fields={"file": "an empty file"})
    return TEXT


def name_of(given: str | None, kind: Type) -> str:
    """Return the name a file is kept under: scrubbed of numbers and addresses, short, with the ending of its type."""
    base = re.split(r"[\\/]", (given or "").encode(errors="ignore").decode())[-1]  # half a character is none
    stem = base.rpartition(".")[0] or base
    plain = re.sub(r"[\x00-\x1f\x7f\"<>|:*?\u202a-\u202e\u2066-\u2069]", "", vault.scrub(stem)).strip(" .")
    return f"{plain[:LONGEST_NAME] or 'file'}{kind.ending}"
