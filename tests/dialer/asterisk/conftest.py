"""A real Asterisk for tests that ask for one: `SANTRAL_ASTERISK` names the root that holds it (see `lab.py`)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dialer.asterisk.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A running Asterisk with our templates."""
    root = os.environ.get("SANTRAL_ASTERISK")
    if not root or not (Path(root) / "usr/sbin/asterisk").exists():
        pytest.skip("SANTRAL_ASTERISK names no root with usr/sbin/asterisk")
    with Lab(Path(root)) as lab:
        yield lab
