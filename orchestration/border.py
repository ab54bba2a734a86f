"""The border: what came in is counted per day, compared with its past, judged, and what broke a rule is kept with why.

Leads and calls themselves are never held: people work with them at once. A gate guards the numbers. When more than a
fifth of a day's news is held, the gate closes: marts are not built on it, and readers keep the last good publication
until what is held is corrected (it is judged anew) or somebody lets it in (`crm.quarantine`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
from psycopg.rows import dict_row

from orchestration import retry, warehouse

if TYPE_CHECKING:
    from expectations.gate import Fault

TOLERATED = 0.2
"""Share of a day's news (or of reports) that may be held before the feed counts as broken and the gate closes."""
TOLD = 5
"""How many sets a sentence names."""
CHECK = "keeps_to_the_rules"
"""The name of every gate's check."""

KEEP = """
insert into ops.quarantine as q (tenant_id, feed, set_key, label, day, rules, reasons, reasons_tr, weight,
                                 status, since, judged_at)
values (%(tenant_id)s, %(feed)s, %(set_key)s, %(label)s, %(day)s, %(rules)s, %(reasons)s, %(reasons_tr)s,
        %(weight)s, %(status)s, %(now)s, %(now)s)
on conflict (tenant_id, feed, set_key) do update
   set label = excluded.label, reasons = excluded.reasons, reasons_tr = excluded.reasons_tr,
       weight = excluded.weight, judged_at = excluded.judged_at,
       rules = case when q.status = 'released' and excluded.rules <@ q.rules then q.rules else excluded.rules end,
       status = case when q.status = 'released' and excluded.rules <@ q.rules then q.status else excluded.status end,
       since = case when q.status = 'cleared' then excluded.since else q.since end
"""
"""What somebody let in stays let in, until it breaks a rule that it did not break then."""

CLEAR = """
update ops.quarantine set status = 'cleared', judged_at = %(now)s
 where tenant_id = %(tenant_id)s and feed = %(feed)s and set_key = %(set_key)s and status in ('held', 'warned')
"""

STANDING = """
select q.tenant_id, q.label, q.reasons, q.status, q.weight, q.day, b.rows as of_the_day
  from ops.quarantine q
  left join lateral (select sum(d.rows) as rows from ops.border_day d where d.feed = q.feed and d.day = q.day) b on true
 where q.feed = %(feed)s and q.status in ('held', 'warned') and (q.status = 'held' or q.judged_at >= %(lately)s)
 order by q.status, q.since desc, q.label
"""


MARKS = """
select id from ops.quarantine where feed = any(%s) and status in ('held', 'warned') order by since desc, id limit %s
"""
STANDING_MARKS = 50
ALSO = {"raw/ad_reports": ("raw/ad_accounts",)}
"""Gates that look at more than one feed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a feed stands. `held` and `warned`: what each set is called, and why."""

    held: Sequence[tuple[str, Sequence[str]]]
    warned: Sequence[tuple[str, Sequence[str]]] = ()
    is_broken: bool = False
    """Whether so much is held that nothing of the feed should go on."""
    sets: int | None = None
    """How many sets there are, where they can be counted."""
    noun: str = "sets"

    @property
    def sentence(self) -> str:
        """What a person should know."""
        if not self.held and not self.warned:
            return f"all {self.sets if self.sets is not None else ''} {self.noun} keep to the rules".replace("  ", " ")
        parts = []
        if self.held:
            of_all = f" of {self.sets}" if self.sets is not None else ""
            parts.append(f"{len(self.held)}{of_all} {self.noun} are held back: {_named(self.held)}")
        if self.is_broken:
            parts.append("more than a fifth is bad, so the gate is closed and readers keep the last good numbers")
        if self.warned:
            parts.append(f"to be looked at: {_named(self.warned)}")
        return "; ".join(parts)

    def checked(self, asset: dg.AssetKey) -> dg.AssetCheckResult:
        """Return it as the result of the gate's check."""
        return dg.AssetCheckResult(
            asset_key=asset,
            check_name=CHECK,
            passed=not self.held and not self.warned,
            severity=dg.AssetCheckSeverity.ERROR if self.is_broken else dg.AssetCheckSeverity.WARN,
            description=self.sentence,
            metadata={"held back": len(self.held), "to be looked at": len(self.warned)},
        )


def _named(sets: Sequence[tuple[str, Sequence[str]]]) -> str:
    told = "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in sets[:TOLD])
    return f"{told}; and {len(sets) - TOLD} more" if len(sets) > TOLD else told


def keep(
    connection: psycopg.Connection,
    feed: str,
    sets: Iterable[Mapping[str, Any]],
    faults: Mapping[Any, Sequence["Fault"]],
    *,
    now: datetime,
) -> None:
    """Write down what judging came to: sets at fault with their rules and reasons, others cleared of old ones.

    Each of `sets` has `tenant_id, set_key, label, day, weight`; `faults` goes by (tenant id, set key) as text.
    """
    cursor = connection.cursor()
    for each in sets:
        row = {"feed": feed, "now": now.astimezone(UTC), **each}
        if found := faults.get(name_of(each), ()):
            row |= {
                "rules": [fault.rule.id for fault in found],
                "reasons": [fault.says for fault in found],
                "reasons_tr": [fault.tr for fault in found],
                "weight": max(1, each["weight"]),
                "status": "held" if any(fault.is_critical for fault in found) else "warned",
            }
        cursor.execute(KEEP if found else CLEAR, row)


def name_of(each: Mapping[str, Any]) -> str:
    """Return the name of a set across tenants."""
    return f"{each['tenant_id']} {each['set_key']}"


def standing(connection: psycopg.Connection, feed: str, *, noun: str, lately: datetime) -> Standing:
    """Return how a feed of days stands; warnings older than `lately` are no news any more."""
    rows = connection.cursor(row_factory=dict_row).execute(STANDING, {"feed": feed, "lately": lately}).fetchall()
    weights: dict[Any, int] = {}
    for row in rows:
        if row["status"] == "held":
            weights[row["day"]] = weights.get(row["day"], 0) + row["weight"]
    of_the_day = {row["day"]: int(row["of_the_day"] or 0) for row in rows}
    return Standing(
        held=[(row["label"], row["reasons"]) for row in rows if row["status"] == "held"],
        warned=[(row["label"], row["reasons"]) for row in rows if row["status"] == "warned"],
        is_broken=any(weight > TOLERATED * of_the_day[day] for day, weight in weights.items()),
        noun=noun,
    )


def marks(connection: psycopg.Connection, asset: str, causes: Sequence[str]) -> list[str]:
    """Return a code for each set that stands at a gate whose check is among the causes: one more is news."""
    if f"test:{CHECK}" not in causes:
        return []
    feeds = [asset, *ALSO.get(asset, ())]
    return [f"set:{set_id}" for (set_id,) in connection.execute(MARKS, (feeds, STANDING_MARKS)).fetchall()]


def look(
    asset: dg.AssetKey,
    judge_new: Callable[..., int],
    standing_of: Callable[..., Standing],
    *,
    now: datetime,
) -> dg.MaterializeResult:
    """Judge what is new in a feed and return how it stands, as an asset does."""
    with retry.transient(), warehouse.connect() as connection:
        judged = judge_new(connection, now=now)
        found = standing_of(connection, now=now)
    return dg.MaterializeResult(
        metadata={"judged": judged, "held back": preview(found.held), "to be looked at": preview(found.warned)},
        check_results=[found.checked(asset)],
    )


def preview(sets: Sequence[tuple[str, Sequence[str]]]) -> dg.TableMetadataValue | str:
    """Return sets and reasons as a small table: what they are called, never what they hold."""
    if not sets:
        return "none"
    rows = [dg.TableRecord({"set": name, "why": ", ".join(reasons)}) for name, reasons in sets[:TOLD]]
    columns = [dg.TableColumn("set", "string"), dg.TableColumn("why", "string")]
    return dg.MetadataValue.table(rows, schema=dg.TableSchema(columns))


def check_spec(asset: dg.AssetKey, description: str) -> dg.AssetCheckSpec:
    """Return the gate's check: nothing downstream is built in a run in which it fails."""
    return dg.AssetCheckSpec(CHECK, asset=asset, blocking=True, description=description)
