"""What a file is by its content, whatever it is called; and the name it is kept under."""

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from crm.files import rules
from crm.files.rules import TypeNotTaken
from tests.crm.files.conftest import JPEG, PDF, packed, png

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

BAD = {
    "a program": b"MZ" + b"\0" * 100,
    "a page": b"<html><script>alert(1)</script>",
    "a drawing with scripts": b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
    "an archive": packed("notes.txt"),
    "a document with macros": packed("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
    "two documents in one": packed("[Content_Types].xml", "word/document.xml", "xl/workbook.xml"),
    "half an archive": packed("[Content_Types].xml", "word/document.xml")[:60],
    "a video": b"RIFF\x24\0\0\0AVI LIST" + b"\0" * 30,
    "nothing": b"",
    "text of another age": "Ayşe İstanbul".encode("cp1254"),
    "bytes": bytes(range(256)),
}


class TestTypeOf:
    @pytest.mark.parametrize("mime", GOOD)
    def test_knows_what_it_takes(self, mime: str):
        assert rules.type_of(io.BytesIO(GOOD[mime])).mime == mime

    @pytest.mark.parametrize("what", BAD)
    def test_takes_nothing_else(self, what: str):
        with pytest.raises(TypeNotTaken):
            rules.type_of(io.BytesIO(BAD[what]))

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
