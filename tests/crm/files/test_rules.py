"""What a file is by its content, whatever it is called; and the name it is kept under."""

import gzip
import io
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from crm.files import rules
from crm.files.rules import TypeNotTaken
from tests.crm.files.conftest import JPEG, PDF, packed, png


def unpacking_to(size: int) -> bytes:
    """A small document that says of one part that it unpacks to so many bytes."""
    written = packed("[Content_Types].xml", "word/document.xml", "word/media/image1.png")
    at = written.rfind(b"PK\x01\x02")
    return written[: at + 24] + struct.pack("<L", size) + written[at + 28 :]


GOOD = {
    "image/png": png(),
    "image/jpeg": JPEG,
    "image/webp": b"RIFF\x24\0\0\0WEBPVP8 " + b"\0" * 30,
    "application/pdf": PDF,
    rules.DOCX.mime: packed("[Content_Types].xml", "word/document.xml"),
    rules.XLSX.mime: packed("[Content_Types].xml", "xl/workbook.xml"),
    "audio/mpeg": b"ID3\x03\0\0\0\0\0\x0f" + b"\0" * 30,
    "audio/ogg": b"OggS\0\x02" + b"\0" * 22 + b"\x01\x13OpusHead" + b"\0" * 20,
    "audio/wav": b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 30,
    "text/plain": "Ayşe: çarşamba günü saat üçte, ğüşıöç\n".encode(),
}

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>"
DOCUMENT = packed("[Content_Types].xml", "word/document.xml")

BAD = {
    "a program": b"MZ" + b"\0" * 100,
    "a program of another system": b"\x7fELF" + b"\0" * 60,
    "a script": b"#!/bin/sh\nrm -rf /\n",
    "a batch file": b"@echo off\r\ndel *\r\n",
    "a page": b"<html><script>alert(1)</script>",
    "a page in capitals": b"<HTML><BODY>",
    "a page that is made first": b"<?php system('x'); ?>",
    "a saved page": b"MIME-Version: 1.0\nContent-Type: text/html\n\n<script>alert(1)</script>",
    "a drawing with scripts": SVG,
    "a drawing behind its prolog": b"<?xml version='1.0'?>\n<!DOCTYPE svg>" + SVG,
    "a drawing behind a byte order mark": b"\xef\xbb\xbf" + SVG,
    "a drawing behind blank lines": b"\n\n   " + SVG,
    "a drawing behind pages of text": b"a line\n" * 9000 + SVG,
    "a drawing in UTF-16": SVG.decode().encode("utf-16"),
    "a packed drawing": gzip.compress(SVG),
    "a script across the border of two pieces": b"a" * (rules.PIECE - 4) + b"<script>",
    "a picture that is a script too": b"GIF89a/*" + b"\0" * 20 + b"*/=1;",
    "a picture that is an archive too": JPEG + packed("setup.exe"),
    "a document that is an archive too": PDF + packed("setup.exe"),
    "an archive that is a picture too": DOCUMENT + JPEG,
    "an archive of the long kind": DOCUMENT[:-22] + b"PK\x06\x07" + b"\0" * 16 + DOCUMENT[-22:],
    "half a character at the end": "ş".encode() * 300 + b"\xc5",
    "an old document": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    "a bomb": unpacking_to(rules.archives.MOST_UNPACKED + 1),
    "an archive of very many parts": packed(*(f"word/{n}" for n in range(rules.archives.MOST_PARTS + 1))),
    "a sheet with old macros": packed("[Content_Types].xml", "xl/workbook.xml", "xl/macrosheets/sheet1.xml"),
    "an archive": packed("notes.txt"),
    "a document with macros": packed("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
    "two documents in one": packed("[Content_Types].xml", "word/document.xml", "xl/workbook.xml"),
    "half an archive": packed("[Content_Types].xml", "word/document.xml")[:60],
    "a video": b"RIFF\x24\0\0\0AVI LIST" + b"\0" * 30,
    "nothing": b"",
    "text of another age": "Ayşe İstanbul".encode("cp1254"),
    "bytes": bytes(range(256)),
}


class Counting(io.BytesIO):
    """A file that notes how much is read of it, and how much at once."""

    bytes_read = longest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.bytes_read += len(found)
        self.longest = max(self.longest, len(found))
        return found


class TestTypeOf:
    @pytest.mark.parametrize("mime", GOOD)
    def test_knows_what_it_takes(self, mime: str):
        assert rules.type_of(io.BytesIO(GOOD[mime])).mime == mime

    @pytest.mark.parametrize("what", BAD)
    def test_takes_nothing_else(self, what: str):
        with pytest.raises(TypeNotTaken):
            rules.type_of(io.BytesIO(BAD[what]))

    def test_reads_a_small_part_of_an_archive_that_tells_of_millions(self):
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 3, 3, 90_000_000, 4, 0)
        read = Counting(b"PK\x03\x04" + b"\0" * 90_000_000 + end)

        with pytest.raises(TypeNotTaken):
            rules.type_of(read)

        assert read.bytes_read < 100_000

    def test_holds_a_small_part_of_a_long_text(self):
        read = Counting(b"a line of text\n" * 1_000_000)

        assert rules.type_of(read) is rules.TEXT
        assert read.longest <= rules.PIECE

    @given(some.binary(max_size=300))
    def test_says_yes_or_no_to_anything(self, content: bytes):
        found = None
        with suppress(TypeNotTaken):
            found = rules.type_of(io.BytesIO(content))

        assert found in {None, *rules.TAKEN.values(), *rules.PACKED.values(), rules.TEXT}


class TestNameOf:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("holiday.jpeg", "holiday.jpg"),
            ("invoice.exe", "invoice.jpg"),
            ("C:\\Users\\ada\\photo.png", "photo.jpg"),
            ("../../etc/passwd", "passwd.jpg"),
            ("+90 532 123 45 67.jpg", "•••.jpg"),
            ('a"b\r\nc.jpg', "abc.jpg"),
            ("gpj.\u202eexe.jpg", "gpj.exe.jpg"),
            ("", "file.jpg"),
            (None, "file.jpg"),
            ("..", "file.jpg"),
        ],
    )
    def test_keeps_what_is_harmless_with_the_ending_of_the_content(self, given: str | None, kept: str):
        assert rules.name_of(given, rules.JPEG) == kept

    @given(some.text(max_size=400))
    def test_is_always_a_short_name_without_a_path(self, given: str):
        name = rules.name_of(given, rules.PDF)

        assert name.endswith(".pdf")
        assert 4 < len(name) <= rules.LONGEST_NAME + 4
        assert not set(name) & set('/\\\r\n"\x00')
