"""Which values survive a merge, and what a contact is when the merge is undone. No database, no clock."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from crm import names
from crm.consent.rules import COVERED_BY, Purpose, Status

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
    is_archived = winner["archived_at"] is not None and loser["archived_at"] is not None
    return {
        "name": name,
        "name_search": names.fold(name),
        **{column: loser[column] if winner[column] is None else winner[column] for column in KEPT},
        **told([winner, loser], ()),
        "archived_at": winner["archived_at"] if is_archived else None,
        "created_at": min(winner["created_at"], loser["created_at"]),
    }


def told(of: Iterable[Values], refused: Iterable[str]) -> dict[str, list[str]]:
    """Return what lists show of a person's consent who is all of these: a refusal of any, or one told now, survives."""
    known = list(of)
    opted_out = {channel for each in known for channel in each["opted_out"]} | {*refused}
    consented = {channel for each in known for channel in each["consented"]} - opted_out
    return {"consented": sorted(consented), "opted_out": sorted(opted_out)}


def replaced(before: Values, after: Values) -> dict[str, tuple[Any, Any]]:
    """Return the columns that differ, each as it was and as it is; the sets of channels even where they do not, so
    that what happens to them later shows."""
    return {
        column: (before[column], value)
        for column, value in after.items()
        if value != before[column] or column in SETS
    }  # fmt: skip


def restored(current: Values, changes: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """Return what a contact's changed columns are once the merge that changed them is undone (`SETS` apart).

    A value goes back where it still is what the merge made it; what was changed since stays.
    """
    return {
        column: before if current[column] == after else current[column]
        for column, (before, after) in changes.items()
        if column not in SETS
    }


def channels(before: Iterable[str], derived: Iterable[str], touched: Collection[str]) -> list[str]:
    """Return a set of channels after an undoing: the touched ones as derived from the facts, the others as before."""
    stay = {channel for channel in before if channel not in touched}
    return sorted(stay | {channel for channel in derived if channel in touched})


def main(mask: str | None, there: Collection[str]) -> str | None:
    """Return the mask a contact shows for a kind of address: the one it had if that address is there, else the first.

    `there`: masks of the addresses it has, the oldest first.
    """
    return mask if mask in there else next(iter(there), None)


def to_restate(words: Iterable[Values]) -> list[tuple[Values, datetime]]:
    """Return the refusals that a merge must repeat so that the other contact's later yes does not lift them, each with
    the instant of the last such yes.

    `words`: the last of each contact about each channel and purpose (`contact_id`, `channel`, `purpose`, `status`,
    `said_at`, `valid_until`). Any yes of the other about the channel counts; a no that the same person's own later yes
    has lifted refuses nothing any more.
    """
    known = list(words)
    yeses = [word for word in known if word["status"] == Status.granted]
    found = []
    for no in known:
        if no["status"] == Status.granted or any(_is_own_lift(no, yes) for yes in yeses):
            continue
        lifting = [yes["said_at"] for yes in yeses if _is_of_other(no, yes) and yes["said_at"] > no["said_at"]]
        if lifting:
            found.append((no, max(lifting)))
    return found


def _is_of_other(no: Values, yes: Values) -> bool:
    return bool(yes["channel"] == no["channel"] and yes["contact_id"] != no["contact_id"])


def _is_own_lift(no: Values, yes: Values) -> bool:
    """Return whether a yes of the same person, for good, about what covers the purpose refused, came after the no."""
    is_own = yes["channel"] == no["channel"] and yes["contact_id"] == no["contact_id"] and not yes["valid_until"]
    return bool(is_own and yes["purpose"] in COVERED_BY[Purpose(no["purpose"])] and yes["said_at"] > no["said_at"])


def to_say_again(standing: Iterable[Values]) -> list[Values]:
    """Return the yeses that were a last word before a merge repeated a no after them.

    `standing`: what both contacts said and still holds, the last word first (`contact_id`, `channel`, `purpose`,
    `status`, `is_repeated`).
    """
    by_channel: dict[tuple[Any, Any], list[Values]] = {}
    for fact in standing:
        by_channel.setdefault((fact["contact_id"], fact["channel"]), []).append(fact)
    again: dict[Any, Values] = {}
    for facts in by_channel.values():
        for covering in COVERED_BY.values():
            about = [fact for fact in facts if fact["purpose"] in covering]
            own = next((fact for fact in about if not fact["is_repeated"]), None)
            if own is not None and about[0]["is_repeated"] and own["status"] == Status.granted:
                again[own["id"]] = own
    return list(again.values())
