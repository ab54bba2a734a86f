"""Many processes as one: the end of one ends all, and nothing outlives the supervisor, not even the deaf."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli import supervisor, sweep

RUN = """
import os, sys
from pathlib import Path
from cli import supervisor, sweep
from cli.processes import Part

here = Path(sys.argv[1])
parts = [Part(name, [sys.executable, "-u", "-c", code], is_shown=True) for name, code in eval(sys.argv[2]).items()]
with sweep.swept() as mark:
    (here / "mark").write_text(mark[sweep.MARK])
    print("result", supervisor.run(parts, os.environ | mark, logs=here / "logs", cwd=here), flush=True)
"""
LIVE = "import time; print('alive'); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
PARENT_OF_DEAF = (
    f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {DEAF!r}], start_new_session=True);"
    "print('alive'); time.sleep(600)"
)


def start(here: Path, **parts: str) -> subprocess.Popen[str]:
    """Run a supervisor over small programs."""
    command = [sys.executable, "-c", RUN, str(here), repr(parts)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def await_line(running: subprocess.Popen[str], words: str) -> None:
    assert running.stdout
    for line in running.stdout:
        if words in line:
            return
    pytest.fail(f"it ended without saying {words!r}")


def left(here: Path) -> list[int]:
    return sweep.marked((here / "mark").read_text())


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class TestRun:
    def test_ends_all_with_the_first_and_says_which(self, tmp_path: Path) -> None:
        output, _ = start(tmp_path, stays=LIVE, fails="import sys; print('oh'); sys.exit(3)").communicate(timeout=60)

        assert "result (3, 'fails')" in output
        assert left(tmp_path) == []
        assert (tmp_path / "logs/fails.log").read_text() == "oh\n"

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    def test_ends_all_when_told_to(self, tmp_path: Path, how: signal.Signals) -> None:
        running = start(tmp_path, stays=LIVE)
        await_line(running, "alive")

        running.send_signal(how)

        output, _ = running.communicate(timeout=60)
        assert f"result ({128 + how}, None)" in output
        assert left(tmp_path) == []

    def test_ends_what_a_deaf_process_left_behind(self, tmp_path: Path) -> None:
        running = start(tmp_path, parent=PARENT_OF_DEAF, deaf=DEAF, ready="import time; time.sleep(2)")

        output, _ = running.communicate(timeout=60)

        assert "result (0, 'ready')" in output
        assert left(tmp_path) == []

    def test_leaves_nothing_after_kill_nine(self, tmp_path: Path) -> None:
        running = start(tmp_path, parent=PARENT_OF_DEAF, deaf=DEAF)
        await_line(running, "alive")
        wait_until(lambda: len(left(tmp_path)) == 3)
        family = psutil.Process(running.pid).children(recursive=True)

        running.kill()

        wait_until(lambda: left(tmp_path) == [])
        wait_until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family))

    def test_can_be_told_to_stop_while_it_starts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        console = supervisor.Console(tmp_path, ())
        manager = supervisor.Supervisor(console, "none")
        for name in ("one", "two"):
            manager.add_process(name, f"exec {sys.executable} -c '{LIVE}'")
        begin = manager._start
        monkeypatch.setattr(manager, "_start", lambda: (begin(), os.kill(os.getpid(), signal.SIGTERM)))
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

        manager.loop()

        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
        assert manager.returncode == 143
        assert manager.first is None


class TestReadable:
    def test_shows_a_json_line_as_its_event_and_fields(self) -> None:
        line = json.dumps({"event": "lead.assigned", "level": "info", "timestamp": "2026-03-03T09:30:00Z", "lead": 7})

        assert supervisor.readable(line) == "lead.assigned  lead=7\n"

    def test_names_trouble_and_keeps_its_trace(self) -> None:
        line = json.dumps({"event": "failed", "level": "error", "exception": "Traceback:\n  here"})

        assert supervisor.readable(line) == "ERROR: failed\nTraceback:\n  here\n"

    @pytest.mark.parametrize("line", ["plain words\n", "[1, 2]\n", '{"no": "event"}\n', "17\n"])
    def test_leaves_any_other_line_as_it_is(self, line: str) -> None:
        assert supervisor.readable(line) == line


class TestIsRoutine:
    @pytest.mark.parametrize(
        ("line", "routine"),
        [
            ('{"event": "request", "status": 200}', True),
            ('{"event": "request", "status": 404}', True),
            ('{"event": "request", "status": 503}', False),
            ('{"event": "database_gone"}', False),
            ("plain words", False),
            ("[1]", False),
        ],
    )
    def test_keeps_what_went_as_it_should_off_the_screen(self, line: str, routine: bool):
        assert supervisor.is_routine(line) is routine
