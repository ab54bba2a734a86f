"""Both kinds of store, and sounds as an exchange writes them."""

import io
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crm.files.conftest import s3_server, store  # noqa: F401 - fixtures


def sound(seconds: float = 1.0, *, rate: int = 8000, loudness: int = 7) -> bytes:
    """A WAV file: 16 bits, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(bytes([loudness, 0]) * int(rate * seconds))
    return file.getvalue()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The folder in which the exchange leaves its files."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


Leave = Callable[..., Path]
