"""Counters for the `limits` library that live in this process's event loop.

The library's own memory storage starts a thread for nearly every request to expire what is old; here the old goes when
it is met, and all of it at once when there is much.
"""

import time
from typing import ClassVar

from limits.storage import Storage

KEPT_AT_MOST = 100_000
"""Counters held before the expired ones are swept out."""


class LoopStorage(Storage):
    """Fixed windows in a dict; for one thread only."""

    STORAGE_SCHEME: ClassVar = ["santral"]

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, float]] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing here fails in a way of its own."""
        return RuntimeError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, in a window that begins with the first count and lasts `expiry` seconds; return the count."""
        now = time.monotonic()
        count, ends = self._windows.get(key, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + expiry
            if len(self._windows) >= KEPT_AT_MOST:
                self._windows = {each: window for each, window in self._windows.items() if window[1] > now}
        self._windows[key] = (count + amount, ends)
        return count + amount

    def get(self, key: str) -> int:
        """Return the count of a window that has not ended."""
        count, ends = self._windows.get(key, (0, 0.0))
        return count if ends > time.monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """Return when a window ends, on the wall clock."""
        return time.time() + self._windows.get(key, (0, time.monotonic()))[1] - time.monotonic()

    def check(self) -> bool:
        """Say that memory is there."""
        return True

    def reset(self) -> int:
        """Forget every window; return how many there were."""
        forgotten = len(self._windows)
        self._windows.clear()
        return forgotten

    def clear(self, key: str) -> None:
        """Forget one window."""
        self._windows.pop(key, None)
