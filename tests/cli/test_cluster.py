"""The embedded PostgreSQL: started, shared, killed. The users are real processes, as they are in life."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from cli import account, cluster

USER = """
import sys
from pathlib import Path
from cli.cluster import server

with server(Path(sys.argv[1]), fast=True) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A fresh home that any account can pass through (pytest's own temporary folders are closed)."""
    place = Path(tempfile.mkdtemp(prefix="santral-cluster-"))
    place.chmod(0o755)
    yield place
    left = processes_of(place)
    for process in left:
        process.kill()
    shutil.rmtree(place, ignore_errors=True)
    assert not left


class User:
    """A process that uses the server of a home until told to leave, or killed."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def url(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def leave(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(30)


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process with the home on its command line: keepers and postmasters."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(home) in word for word in process.info["cmdline"] or []):
            found.append(process)
    return found


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres/data/postmaster.pid").read_text().splitlines()[0]))


def sleep_until_cut_off(connection: psycopg.Connection) -> None:
    with suppress(psycopg.Error):
        connection.execute("select pg_sleep(60)")


def wait_until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def to(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace(f"/{cluster.DATABASE}", "/postgres"), autocommit=True)


class TestServer:
    def test_serves_its_users_and_ends_with_the_last(self, home: Path) -> None:
        with cluster.server(home, fast=True) as url, to(url) as connection:
            version = connection.execute("show server_version_num").fetchone()
            with cluster.server(home) as same:
                assert same == url
            connection.execute("select 1")

        assert version
        assert int(version[0]) >= 180000
        assert not processes_of(home)

    def test_keeps_its_data(self, home: Path) -> None:
        with cluster.server(home) as url, to(url) as connection:
            connection.execute("create table kept as select 7 as x")

        with cluster.server(home) as url, to(url) as connection:
            assert connection.execute("select x from kept").fetchone() == (7,)

    def test_listens_on_loopback_with_a_password(self, home: Path) -> None:
        with cluster.server(home, fast=True) as url:
            listening = {c.laddr.ip for c in postmaster(home).net_connections() if c.status == psutil.CONN_LISTEN}
            password = (home / "postgres/superuser").read_text()
            with pytest.raises(psycopg.OperationalError, match="password"):
                to(url.replace(password, "guessed"))

        assert listening == {"127.0.0.1"}
        assert (home / "postgres/superuser").stat().st_mode & 0o077 == 0

    def test_never_runs_as_root(self, home: Path) -> None:
        with cluster.server(home, fast=True):
            assert postmaster(home).uids().real != 0

    def test_outlives_the_one_who_started_it_while_another_uses_it(self, home: Path) -> None:
        first, second = User(home), User(home)
        url = first.url()
        assert second.url() == url

        first.leave()

        with to(url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        second.leave()
        assert not processes_of(home)

    def test_outlives_the_thread_that_started_it(self, home: Path) -> None:
        opened = cluster.server(home, fast=True)
        urls: list[str] = []
        starter = threading.Thread(target=lambda: urls.append(opened.__enter__()))
        starter.start()
        starter.join()

        time.sleep(0.2)

        with to(urls[0]) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        opened.__exit__(None, None, None)

    def test_is_one_for_processes_that_race_on_a_fresh_home(self, home: Path) -> None:
        users = [User(home) for _ in range(4)]
        urls = {user.url() for user in users}

        assert [user.leave() for user in users] == [0, 0, 0, 0]
        assert len(urls) == 1
        assert not processes_of(home)


class TestAfterKillNine:
    def test_of_its_user_the_server_ends_cleanly(self, home: Path) -> None:
        user = User(home)
        sleeper = to(user.url())
        sleeper.execute("create table kept as select 7 as x")
        thread = threading.Thread(target=sleep_until_cut_off, args=[sleeper])
        thread.start()

        user.process.kill()

        wait_until(lambda: not processes_of(home))
        thread.join(10)
        assert not (home / "postgres/data/postmaster.pid").exists()
        assert "database system is shut down" in (home / "postgres/postgres.log").read_text()
        with cluster.server(home) as url, to(url) as connection:
            assert connection.execute("select x from kept").fetchone() == (7,)

    def test_of_its_keeper_the_next_user_starts_it_again(self, home: Path) -> None:
        user = User(home)
        user.url()
        keeper = next(process for process in processes_of(home) if "cli.keeper" in process.cmdline())

        keeper.kill()
        wait_until(lambda: not cluster.is_kept(home))

        with cluster.server(home) as url, to(url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        user.leave()

    def test_of_the_server_itself_nothing_committed_is_lost(self, home: Path) -> None:
        with cluster.server(home) as url:
            with to(url) as connection:
                connection.execute("create table kept as select 7 as x")
            os.kill(postmaster(home).pid, signal.SIGKILL)
            wait_until(lambda: not cluster.is_kept(home))

        with cluster.server(home) as url, to(url) as connection:
            assert connection.execute("select x from kept").fetchone() == (7,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another account")
class TestBelowAClosedHome:
    def test_it_has_a_folder_of_its_own_elsewhere(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed, elsewhere = home / "closed", home / "elsewhere"
        closed.mkdir(mode=0o700)
        monkeypatch.setattr(cluster, "CLOSED_HOMES", elsewhere)

        with cluster.server(closed / ".santral", fast=True) as url, to(url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)

        assert (closed / ".santral/postgres").resolve().parent == elsewhere
        assert closed.stat().st_mode & 0o777 == 0o700

    def test_it_runs_a_copy_of_programs_it_cannot_reach(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        user = account.runtime_user()
        unreachable = account.reachable
        monkeypatch.setattr(cluster, "reachable", lambda path, user: "bin/postgres" not in str(path))

        binaries = cluster.reachable_binaries(home, user)

        assert home in binaries.parents
        assert unreachable(binaries / "postgres", user)
        done = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
        assert "PostgreSQL" in done.stdout


class TestRefusals:
    def test_say_why_the_server_does_not_start(self, home: Path) -> None:
        with cluster.server(home):
            pass
        (home / "postgres/data/postgresql.conf").write_text("no_such_setting = on\n")

        with (
            pytest.raises(account.ServerRefused, match=r"PostgreSQL did not start: .*postgres\.log"),
            cluster.server(home),
        ):
            pass

    def test_name_the_missing_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def nobody(name: str) -> None:
            raise KeyError(name)

        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(pwd, "getpwnam", nobody)

        with pytest.raises(account.ServerRefused, match="start as another user, or set DATABASE_URL"):
            account.runtime_user()
