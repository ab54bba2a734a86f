"""The `santral` command: what it lists, and that every refusal is one sentence and exit code 1."""

import asyncio
import importlib.util
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli import home
from cli.main import COMMANDS

SANTRAL = Path(sys.executable).parent / "santral"


def santral(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, with only these settings."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "SANTRAL_HOME") if name in os.environ}
    return subprocess.run(
        [SANTRAL, *words], env=inherited | environment, capture_output=True, text=True, timeout=60, check=False
    )


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The refusal is one line that names the way out, no traceback, and exit code 1."""
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("santral: ")
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANTRAL_HOME", str(tmp_path / "home"))


@pytest.fixture
def old_database() -> Iterator[str]:
    """A server that lets anyone in and says it is PostgreSQL 14: as much of the protocol as a version takes."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    hello = message(b"R", struct.pack("!i", 0)) + message(b"S", b"server_version\x0014.12\0")
    hello += message(b"K", struct.pack("!ii", 1, 1)) + message(b"Z", b"I")

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length, code) = struct.unpack("!ii", await reader.readexactly(8))
        if code == 80877103:  # asks for TLS first
            writer.write(b"N")
            (length, code) = struct.unpack("!ii", await reader.readexactly(8))
        await reader.readexactly(length - 8)
        writer.write(hello)
        await reader.read(1)  # the goodbye
        writer.close()

    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(greet, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"postgresql://someone@127.0.0.1:{listening.sockets[0].getsockname()[1]}/santral"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    listening.close()
    loop.close()


class TestHelp:
    def test_lists_the_commands_whose_module_is_there(self) -> None:
        done = santral("--help", COLUMNS="200")

        present = [name for name, (module, _) in COMMANDS.items() if importlib.util.find_spec(module)]
        assert {"up", "migrate"} <= set(present)
        for name in present:
            assert f" {name} " in done.stdout

    def test_imports_no_command(self) -> None:
        code = "import sys; from cli import main; main.commands(); print(*(m for m in sys.modules if m[:4] == 'cli.'))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=home.CHECKOUT
        )

        assert set(done.stdout.split()) == {"cli.main", "cli.home"}


class TestRefusals:
    def test_a_port_in_use(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = str(taken.getsockname()[1])

            assert_refused(santral("up", SANTRAL_API_PORT=port), f"port {port}", "set SANTRAL_API_PORT")

    def test_a_database_that_does_not_answer(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as listening:
            port = listening.getsockname()[1]

        done = santral("migrate", DATABASE_URL=f"postgresql://a:b@127.0.0.1:{port}/santral", SANTRAL_SECRET="x")

        assert_refused(done, f"127.0.0.1:{port}", "check DATABASE_URL")
        assert ":b@" not in done.stderr

    def test_a_database_that_refuses_us(self, server_url: str) -> None:
        user, _, rest = server_url.partition("@")
        wrong = f"{user[: user.rindex(':')]}:wrong@{rest}"

        assert_refused(santral("migrate", DATABASE_URL=wrong, SANTRAL_SECRET="x"), "password", "check DATABASE_URL")

    def test_an_old_database(self, old_database: str) -> None:
        done = santral("migrate", DATABASE_URL=old_database, SANTRAL_SECRET="x")

        assert_refused(done, "PostgreSQL 14", "15 or newer", "DATABASE_URL")

    @pytest.mark.parametrize("url", ["hello", "sqlite:///here.db"])
    def test_what_is_no_address_of_a_database(self, url: str) -> None:
        assert_refused(santral("migrate", DATABASE_URL=url, SANTRAL_SECRET="x"), "DATABASE_URL")

    def test_a_named_database_without_a_secret(self) -> None:
        done = santral("migrate", DATABASE_URL="postgresql://a@127.0.0.1:1/b")

        assert_refused(done, "SANTRAL_SECRET", "openssl rand -base64 32")

    def test_a_home_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        assert_refused(santral("migrate", SANTRAL_HOME=str(tmp_path / "file/home")), "SANTRAL_HOME")

    def test_an_old_python_before_anything_is_installed(self) -> None:
        pretend = "import sys, runpy; sys.version_info = (3, 9, 2); runpy.run_path('bootstrap.py', run_name='__main__')"
        done = subprocess.run(
            [sys.executable, "-c", pretend],
            env={"PATH": ""},
            capture_output=True,
            text=True,
            cwd=home.CHECKOUT,
            check=False,
        )

        assert_refused(done, "Santral needs 3.11 to 3.13", "apt-get install")


class TestMigrate:
    def test_brings_the_named_database_from_nothing_to_ready(self, server_url: str) -> None:
        url = f"{server_url.rpartition('/')[0]}/from_nothing"

        first = santral("migrate", DATABASE_URL=url, SANTRAL_SECRET=os.environ["SANTRAL_SECRET"])
        second = santral("migrate", DATABASE_URL=url, SANTRAL_SECRET=os.environ["SANTRAL_SECRET"])

        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert first.stdout == second.stdout == "the database is up to date\n"
