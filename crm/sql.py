"""Building statements at run time: values travel as numbered, typed arguments, never inside the text."""

from typing import Any


class Args(list[Any]):
    """The arguments of one statement. `args.add(value, "uuid")` keeps the value and returns its `$n::uuid`."""

    def add(self, value: Any, kind: str) -> str:
        """Keep a value and return the placeholder that stands for it, cast to an SQL type."""
        self.append(value)
        return f"${len(self)}::{kind}"
