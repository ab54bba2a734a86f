"""What must not be told because too few made it (k-anonymity). Pure."""

from collections.abc import Sequence


def hidden(counts: Sequence[int | None], *, floor: int) -> set[int]:
    """Return the positions of the groups that are not told: those of fewer than `floor` (nobody at all may be told).

    A single hidden group could be found by taking the others from the total, so the next smallest is hidden with it.
    """
    few = {place for place, count in enumerate(counts) if count and count < floor}
    if len(few) == 1:
        others = [place for place, count in enumerate(counts) if count and place not in few]
        few |= set(sorted(others, key=lambda place: counts[place] or 0)[:1])
    return few
