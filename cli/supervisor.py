"""Running many processes as one, with honcho: the end of one ends all, and none outlives us.

Honcho is pinned: `_process_ctor`, `_all_started` and `_processes` are its inside, used where it has no door.
"""

import ctypes
import json
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from honcho.manager import Manager
from honcho.printer import Message, Printer
from honcho.process import Process

from cli import sweep
from cli.processes import Part

PR_SET_PDEATHSIG = 1
SPOKESMAN = "ready"
"""The process that speaks for the whole: its lines are shown as they are."""


class Bound(Process):  # type: ignore[misc]
    """Honcho's process between us and the command, which dies when we do; the command dies with it (`Part.line`)."""

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Bind this process to the life of its parent, then run the command."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        super().run(*args, **kwargs)


class Console(Printer):  # type: ignore[misc]
    """What our own processes say, readable, on one screen; and what each process says, as it came, in its own file."""

    def __init__(self, folder: Path, shown: Collection[str]) -> None:
        super().__init__(sys.stdout)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.shown = shown
        self.files: dict[str, IO[str]] = {}

    def write(self, message: Message) -> None:
        """Keep a line, and show it if it is to be shown."""
        line = message.data.decode(errors="replace") if isinstance(message.data, bytes) else message.data
        name = message.name or "system"
        if name not in self.files:
            self.files[name] = open(self.folder / f"{name}.log", "w", buffering=1)  # noqa: SIM115
        self.files[name].write(line)
        if name == SPOKESMAN:
            print(line, end="", flush=True)
        elif name in self.shown and not is_routine(line):
            super().write(message._replace(data=readable(line)))


class Supervisor(Manager):  # type: ignore[misc]
    """Honcho's manager that knows who ended first, and can be interrupted while it starts."""

    def __init__(self, console: Console, mark: str) -> None:
        super().__init__(console)
        self.mark = mark
        self._process_ctor = Bound
        self._waiting_to_stop = False
        self.first: str | None = None
        """The process whose end ended the others; None when we were told to stop."""

    def terminate(self) -> None:
        """End all processes; while some are still starting, as soon as they have (honcho would fail on them)."""
        ended = (name for name, process in self._processes.items() if "returncode" in process)
        if self.returncode not in (130, 143):
            self.first = self.first or next(ended, None)
        self._waiting_to_stop = not self._every_one_started()
        if not self._waiting_to_stop:
            super().terminate()

    def kill(self) -> None:
        """End what did not end when asked, and what it started: that may hold its output open, which honcho awaits."""
        super().kill()
        sweep.end(sweep.marked(self.mark), signal.SIGKILL)

    def _all_started(self) -> bool:
        started = self._every_one_started()
        if started and self._waiting_to_stop:
            self.terminate()
        return started

    def _every_one_started(self) -> bool:
        return all(process.get("pid") is not None for process in self._processes.values())


def run(parts: Sequence[Part], environment: Mapping[str, str], *, logs: Path, cwd: Path) -> tuple[int, str | None]:
    """Run processes until one ends or we are told to stop (Ctrl-C, SIGTERM), then end all. `environment` is marked.

    Return the exit code of the first to end, and its name; without a name when we were told to stop.
    """
    console = Console(logs, {part.name for part in parts if part.is_shown})
    supervisor = Supervisor(console, environment[sweep.MARK])
    for part in parts:
        supervisor.add_process(part.name, part.line, env=dict(environment), cwd=str(cwd))
    supervisor.loop()
    return supervisor.returncode or 0, supervisor.first


def last_words(log: Path, *, lines: int = 12) -> str:
    """Return the end of a process's log, for the screen."""
    try:
        return "".join(readable(line) for line in log.read_text().splitlines(keepends=True)[-lines:])
    except OSError:
        return ""


def is_routine(line: str) -> bool:
    """Whether a log line tells of a request that went as it should: for the log, not for the screen."""
    try:
        fields = json.loads(line)
    except ValueError:
        return False
    return isinstance(fields, dict) and fields.get("event") == "request" and fields.get("status", 500) < 500


def readable(line: str) -> str:
    """Return a log line for a person: a JSON one as its event and fields, any other as it is."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    if not isinstance(fields, dict) or "event" not in fields:
        return line
    level, event = fields.pop("level", "info"), fields.pop("event")
    fields.pop("timestamp", None)
    trouble = fields.pop("exception", "")
    shown = "  ".join([str(event), *(f"{name}={value}" for name, value in fields.items())])
    return "\n".join(filter(None, [shown if level == "info" else f"{level.upper()}: {shown}", trouble])) + "\n"
