"""Asterisk's configuration files, read: sections in order, their lines as pairs, templates filled in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TEMPLATES = Path(__file__).parents[3] / "dialer" / "asterisk"


@dataclass
class Section:
    """A section: its name, and its lines as (key, value), those of the templates it is made from first."""

    name: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def get(self, key: str) -> str | None:
        """Return the last value of a key."""
        return next((value for name, value in reversed(self.lines) if name == key), None)

    def words(self, key: str) -> set[str]:
        """Return a value that is a list."""
        return {word.strip() for word in (self.get(key) or "").split(",")}


def lines_of(name: str) -> Iterator[str]:
    """Yield the lines of a file that say something, with those of the files it includes."""
    for raw in (TEMPLATES / name).read_text().splitlines():
        line = re.split(r"(?<!\\);", raw, maxsplit=1)[0].strip()
        if included := re.fullmatch(r"#(try)?include (\S+)", line):
            if (TEMPLATES / included[2]).exists():
                yield from lines_of(included[2])
        elif line:
            yield line


def sections(name: str) -> list[Section]:
    """Return the sections of a file; one that is added to (`+`) appears once."""
    found: list[Section] = []
    for line in lines_of(name):
        if head := re.fullmatch(r"\[([^\]]+)\](\((.*)\))?", line):
            of = [word.strip() for word in (head[3] or "").split(",") if word.strip() not in ("", "!", "+")]
            inherited = [pair for one in of for each in found if each.name == one for pair in each.lines]
            if head[3] == "+":
                found.append(found.pop(next(n for n, each in enumerate(found) if each.name == head[1])))
            else:
                found.append(Section(head[1], inherited))
        else:
            key, _, value = line.partition("=")
            found[-1].lines.append((key.strip(), value.removeprefix(">").strip()))
    return found


def section(name: str, title: str) -> Section:
    """Return a section."""
    return next(each for each in sections(name) if each.name == title)


def steps(title: str) -> dict[str, list[str]]:
    """Return the steps of each extension of a context, those of included contexts, too."""
    found: dict[str, list[str]] = {}
    exten = ""
    for key, value in section("extensions.conf", title).lines:
        if key == "include":
            found = steps(value) | found
        elif key in ("exten", "same"):
            first, _, rest = value.partition(",")
            if key == "exten":
                exten, (_, _, rest) = first, rest.partition(",")
            found.setdefault(exten, []).append(rest)
    return found
