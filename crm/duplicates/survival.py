"""Which values survive a merge, and what a contact is when the merge is undone. No database, no clock."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from crm import names

KEPT = ("country", "language", "phone_masked", "email_masked", "created_by")
"""The winner's value, or the loser's where the winner has none."""
SETS = ("consented", "opted_out")
COLUMNS = ("name", "name_search", *KEPT, *SETS, "archived_at", "created_at", "updated_at")
"""What a merge may change of the contact that stays."""

Values = Mapping[str, Any]


def name_of(winner: str, loser: str) -> str:
    """Return the name that survives: the winner's, unless the loser's holds all of its words and more."""
    ours, theirs = set(names.fold(winner).split()), set(names.fold(loser).split())
    return loser if ours < theirs else winner


def merged(winner: Values, loser: Values) -> dict[str, Any]:
    """Return what the winner is after the merge (`COLUMNS` without `updated_at`).

    An opt-out of either survives, a consent only where neither opted out. The person is archived when both were, and
    known since the earlier of both was.
    """
    name = name_of(winner["name"], loser["name"])
    opted_out = {*winner["opted_out"], *loser["opted_out"]}
    consented = {*winner["consented"], *loser["consented"]} - opted_out
    is_archived = winner["archived_at"] is not None and loser["archived_at"] is not None
    return {
        "name": name,
        "name_search": names.fold(name),
        **{column: loser[column] if winner[column] is None else winner[column] for column in KEPT},
        "consented": sorted(consented),
        "opted_out": sorted(opted_out),
        "archived_at": winner["archived_at"] if is_archived else None,
        "created_at": min(winner["created_at"], loser["created_at"]),
    }


def replaced(before: Values, after: Values) -> dict[str, tuple[Any, Any]]:
    """Return the columns that differ, each as it was and as it is."""
    return {column: (before[column], value) for column, value in after.items() if value != before[column]}


def restored(current: Values, changes: Mapping[str, tuple[Any, Any]], *, said: Collection[str] = ()) -> dict[str, Any]:
    """Return what a contact's changed columns are once the merge that changed them is undone.

    A value goes back where it still is what the merge made it; what was changed since stays. In the sets of channels
    that holds channel by channel, and a channel about which something was `said` since stays as it is.
    """
    back: dict[str, Any] = {}
    for column, (before, after) in changes.items():
        if column in SETS:
            back[column] = _channels(current[column], before, after, said)
        else:
            back[column] = before if current[column] == after else current[column]
    return back


def _channels(
    current: Collection[str], before: Collection[str], after: Collection[str], said: Collection[str]
) -> list[str]:
    def is_in(channel: str) -> bool:
        untouched = (channel in current) == (channel in after) and channel not in said
        return channel in (before if untouched else current)

    return [channel for channel in sorted({*current, *before, *after}) if is_in(channel)]


def main(mask: str | None, there: Collection[str]) -> str | None:
    """Return the mask a contact shows for a kind of address: the one it had if that address is there, else the first.

    `there`: masks of the addresses it has, the oldest first.
    """
    return mask if mask in there else next(iter(there), None)


def to_restate(words: Iterable[Values], *, granted: str = "granted") -> list[Values]:
    """Return the refusals that a merge must repeat, so that the other contact's later yes does not lift them.

    `words`: the last of each contact about each channel and purpose (`contact_id`, `channel`, `status`, `said_at`).
    """
    known = list(words)
    return [
        no
        for no in known
        if no["status"] != granted
        and any(
            yes["status"] == granted
            and yes["contact_id"] != no["contact_id"]
            and yes["channel"] == no["channel"]
            and yes["said_at"] > no["said_at"]
            for yes in known
        )
    ]
