"""The compiled manifest: built once, by whoever is first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crm.settings import settings
from kpis import project


class TestTarget:
    def test_two_processes_racing_get_one_manifest(
        self, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("SANTRAL_HOME", str(tmp_path / "fresh"))
        settings.cache_clear()
        ask = [sys.executable, "-c", "from kpis import project; print(project.target())"]

        racing = [subprocess.Popen(ask, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(2)]
        places = {process.communicate(timeout=300)[0].strip() for process in racing}

        assert [process.returncode for process in racing] == [0, 0]
        assert places == {str(project.target())}
        folder = Path(places.pop())
        assert (folder / "semantic_manifest.json").stat().st_size > 1000
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
