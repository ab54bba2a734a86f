"""What the gates at the border hold back from the numbers, and letting it in: by a person, with a reason.

Nothing here holds leads or calls: people work with them from the moment they arrive. What is corrected comes back by
itself, judged anew by the next run of the pipeline; what is right as it is, somebody lets in.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from crm import audit, errors, events
from crm.db import Tx
from crm.operation import operation

REASON = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")


class UnknownHold(errors.NotFound):
    """Nothing of that id is held back."""

    code = "quarantine.unknown"


class NotHeld(errors.Conflict):
    """It is not held (any more): it was let in, or corrected."""

    code = "quarantine.not_held"


class MustBeMended(errors.Conflict):
    """A test of a table finds it wrong: nobody can let it in, it comes back when it is mended."""

    code = "quarantine.must_be_mended"


class NoReason(errors.Invalid):
    """Why it is let in must be a code, as `campaign_paused`."""

    code = "quarantine.no_reason"


@dataclass(frozen=True, slots=True)
class Hold:
    """One set that broke rules. `feed` and `label` say what it is, `rules` and `reasons` why, instants are UTC."""

    id: UUID
    feed: str
    label: str
    day: date | None
    rules: Sequence[str]
    reasons: Sequence[str]
    reasons_tr: Sequence[str]
    status: str
    """held, warned (passed, but to be looked at), released (let in by somebody), cleared (keeps to the rules now)."""
    since: datetime
    judged_at: datetime
    released_at: datetime | None
    released_by: UUID | None
    because: str | None

    @property
    def may_be_released(self) -> bool:
        """Whether somebody may let it in."""
        return self.status == "held" and at_gate(self.feed)


def at_gate(feed: str) -> bool:
    """Tell whether a gate at the border holds it, where people may let it in; else a test of a table found it wrong."""
    return feed.startswith("raw/")


@operation("quarantine.release")
async def release(tx: Tx, hold_id: UUID, *, because: str, now: datetime) -> None:
    """Let a held set in as it is; the next run of the pipeline counts it. `because`: a code that stays with it.

    It is held again when it breaks a rule that it does not break now.

    :raises UnknownHold: when there is none.
    :raises NotHeld: when it is not held any more.
    :raises MustBeMended: when no gate holds it, but a test of a table.
    :raises NoReason: when the reason is no code.
    """
    if not REASON.fullmatch(because):
        raise NoReason("say why in a code of small letters, digits, . _ -", fields={"because": "not a code"})
    row = await tx.fetchrow(
        "select status, feed, rules from ops.quarantine where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, hold_id,
    )  # fmt: skip
    if row is None:
        raise UnknownHold("nothing of this id is held back")
    if row["status"] != "held":
        raise NotHeld(f"it is not held: it is {row['status']}")
    if not at_gate(row["feed"]):
        raise MustBeMended("a test of a table does not hold: it comes back by itself when that is mended")
    await tx.execute(
        """update ops.quarantine set status = 'released', released_at = $3::timestamptz, released_by = $4::uuid,
                                     because = $5::text
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, hold_id, now, tx.actor.user_id, because,
    )  # fmt: skip
    detail = {"feed": row["feed"], "rules": list(row["rules"]), "because": because}
    await events.record(tx, "hold", hold_id, "hold.released", detail, at=now)
    await audit.of_person(tx, "hold.released", "hold", hold_id, detail, at=now)


async def standing(tx: Tx, *, at_most: int = 500) -> list[Hold]:
    """Return what is held, then what is to be looked at, the latest first."""
    rows = await tx.fetch(
        """select id, feed, label, day, rules, reasons, reasons_tr, status, since, judged_at, released_at,
                  released_by, because
             from ops.quarantine where tenant_id = $1::uuid and status in ('held', 'warned')
            order by status, since desc, id limit $2::int""",
        tx.actor.tenant_id, at_most,
    )  # fmt: skip
    return [Hold(**row) for row in rows]
