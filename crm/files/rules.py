"""What a file may be: its class, its type by what is in it, its name. No database, no clock."""

import re
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

import puremagic

from crm import errors, vault

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
MACROS = "vbaproject.bin"
MOST_PARTS = 5000


def type_of(file: BinaryIO) -> Type:
    """Return what a file is, by its content alone; whatever its name says counts for nothing.

    :raises TypeNotTaken: when it is nothing we take, among them documents with macros.
    """
    file.seek(0)
    head = file.read(HEAD)
    if head.startswith(b"PK"):
        return _packed(file)
    try:
        guesses = [guess.mime_type for guess in puremagic.magic_string(head) if guess.mime_type]
    except (puremagic.PureError, ValueError):
        return _text(file)
    if guesses and guesses[0] in TAKEN:  # the surest first: a weaker guess must not make a video a picture
        return TAKEN[guesses[0]]
    raise TypeNotTaken(fields={"file": "a picture, PDF, Word, Excel, text or sound file"})


def _packed(file: BinaryIO) -> Type:
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise TypeNotTaken(fields={"file": "a document that cannot be read"}) from error
    if len(parts) > MOST_PARTS or any(part.lower().endswith(MACROS) for part in parts):
        raise TypeNotTaken(fields={"file": "documents with macros are not taken"})
    found = [kind for part, kind in PACKED.items() if part in parts and "[Content_Types].xml" in parts]
    if len(found) != 1:
        raise TypeNotTaken(fields={"file": "archives are not taken; send the files in it"})
    return found[0]


def _text(file: BinaryIO) -> Type:
    """Return text for what is UTF-8 without control characters; a file of that kind is read whole."""
    file.seek(0)
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TypeNotTaken(fields={"file": "neither a known type nor text in UTF-8"}) from error
    if not text or re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text):
        raise TypeNotTaken(fields={"file": "neither a known type nor text"})
    return TEXT


def name_of(given: str | None, kind: Type) -> str:
    """Return the name a file is kept under: scrubbed of numbers and addresses, short, with the ending of its type."""
    base = re.split(r"[\\/]", (given or "").encode(errors="ignore").decode())[-1]  # half a character is none
    stem = base.rpartition(".")[0] or base
    plain = re.sub(r"[\x00-\x1f\x7f\"<>|:*?\u202a-\u202e\u2066-\u2069]", "", vault.scrub(stem)).strip(" .")
    return f"{plain[:LONGEST_NAME] or 'file'}{kind.ending}"
