"""Recorded conversations with an exchange, read line by line: `S`, `C` (with a connection's number), time, text."""

from collections.abc import Iterator
from pathlib import Path

from panoramisk.message import Message as Raw

from dialer.ami.messages import Message, heard


def from_server(path: Path) -> Iterator[Message]:
    """Yield what the server said, of all connections, as messages."""
    lines: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf8").splitlines():
        tag, _, rest = line.partition(" ")
        if not tag.startswith("S"):
            continue
        text = rest.partition(" ")[2]
        if text:
            lines.setdefault(tag, []).append(text)
        elif (raw := Raw.from_line("\r\n".join(lines.pop(tag, [])))) and (message := heard(raw)):
            yield message
