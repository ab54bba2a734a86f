"""What tests of the telephone door share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of conversations recorded from a real exchange."""
    home = os.environ.get("SANTRAL_SAMPLE_DATA")
    if not home or not (Path(home) / "ami-transcripts").is_dir():
        pytest.skip("SANTRAL_SAMPLE_DATA names no folder with ami-transcripts/")
    return Path(home) / "ami-transcripts"
