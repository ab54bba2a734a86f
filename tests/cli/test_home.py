"""The state of a checkout: its place, its room, its secret."""

import os
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from cli import home


class TestSettle:
    def test_makes_the_folder_and_tells_child_processes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SANTRAL_HOME", "state/here")

        assert home.settle() == tmp_path / "state/here"

        assert os.environ["SANTRAL_HOME"] == str(tmp_path / "state/here")
        assert (tmp_path / "state/here").is_dir()

    def test_says_what_to_do_when_it_cannot(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("SANTRAL_HOME", str(tmp_path / "file/state"))

        with pytest.raises(home.NoRoom, match="set SANTRAL_HOME to a folder you may write"):
            home.settle()


class TestRequireRoom:
    def test_lets_pass_what_fits(self, tmp_path: Path) -> None:
        home.require_room(tmp_path, wanted=1)

    def test_refuses_a_full_disk_and_names_both_ways_out(self, tmp_path: Path) -> None:
        with pytest.raises(home.NoRoom, match=r"free some disk, or set SANTRAL_HOME"):
            home.require_room(tmp_path, wanted=10**18)


class TestSecret:
    def test_is_32_bytes_stays_the_same_and_is_its_owners_only(self, tmp_path: Path) -> None:
        secret = home.secret(tmp_path)

        assert len(b64decode(secret)) == 32
        assert home.secret(tmp_path) == secret
        assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["secret"]

    def test_is_one_for_processes_that_race(self, tmp_path: Path) -> None:
        code = f"from pathlib import Path; from cli import home; print(home.secret(Path({str(tmp_path)!r})))"
        racing = [
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=home.CHECKOUT)
            for _ in range(6)
        ]

        assert len({process.communicate(timeout=30)[0] for process in racing}) == 1
