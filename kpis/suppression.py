"""What must not be told because too few made it (k-anonymity). Pure."""

from collections.abc import Collection, Iterable, Sequence


def hidden(counts: Sequence[int], lines: Iterable[Sequence[int]] = (), *, floor: int) -> set[int]:
    """Return the positions of the groups that are not told: those of fewer than `floor` (nobody at all may be told).

    `lines`: positions of groups that make up a total which can be known. From it the groups told could be taken, so
    what is hidden of a line is two groups at least, of `floor` together at least, as long as there is another to hide.
    """
    found = {place for place, count in enumerate(counts) if 0 < count < floor}
    if not found:
        return found
    open_lines = [line for line in lines if len(line) > 1]
    while more := {place for line in open_lines for place in _next(line, counts, found, floor)}:
        found |= more
    return found


def _next(line: Sequence[int], counts: Sequence[int], found: Collection[int], floor: int) -> list[int]:
    """Return the smallest group that is still told of a line, where its total would give away what is hidden."""
    silent = [place for place in line if place in found]
    if not silent or (len(silent) > 1 and sum(counts[place] for place in silent) >= floor):
        return []
    told = [place for place in line if counts[place] and place not in found]
    return sorted(told, key=lambda place: counts[place])[:1]
