"""The border: what came in is counted per day, compared with its past, judged, and what broke a rule is kept with why.

Leads and calls themselves are never held: people work with them at once. A gate guards the numbers, firm by firm. When
more than a fifth of a firm's news of a day is held, the gate closes for that firm: its readers keep their last good
publication (`orchestration.publishing`) until what is held is corrected (it is judged anew) or somebody lets it in
(`crm.quarantine`). All other firms go on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
from psycopg.rows import dict_row

from orchestration import gates, policy, retry, verdicts, warehouse

if TYPE_CHECKING:
    from expectations.gate import Fault

TOLD = 5
"""How many sets a sentence names."""
CHECK = "keeps_to_the_rules"
"""The name of every gate's check."""
WAITS = "It stops no run: a firm of whose news more than a fifth is bad keeps its last good numbers, nobody else waits."

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
select label, reasons, reasons_tr, status from ops.quarantine
 where feed = %(feed)s and status in ('held', 'warned') and (status = 'held' or judged_at >= %(lately)s)
 order by status, since desc, label
"""

MARKS = """
select id from ops.quarantine where feed = any(%s) and status in ('held', 'warned') order by since desc, id limit %s
"""
STANDING_MARKS = 50
ALSO = {"raw/ad_reports": ("raw/ad_accounts",)}
"""Gates that look at more than one feed."""


@dataclass(frozen=True, slots=True)
class Fallen:
    """A set that broke rules: what it is called, and why, in English and in Turkish."""

    label: str
    reasons: Sequence[str]
    reasons_tr: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a feed stands: the sets that are held, those that passed and are to be looked at."""

    held: Sequence[Fallen]
    warned: Sequence[Fallen] = ()
    closed: Sequence[str] = ()
    """The firms for which the gate is closed, by slug: so much of theirs is held that nothing of the feed goes on."""
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
        if self.closed:
            parts.append(f"more than a fifth of what came to {', '.join(self.closed)} is bad, so the gate is closed"
                         " there and readers there keep the last good numbers")  # fmt: skip
        if self.warned:
            parts.append(f"to be looked at: {_named(self.warned)}")
        return "; ".join(parts)

    @property
    def sentence_tr(self) -> str:
        """The same in Turkish; empty when all is well."""
        parts = []
        if self.held:
            parts.append(f"bekletilen: {len(self.held)}; {_named(self.held, turkish=True)}")
        if self.closed:
            parts.append(f"{', '.join(self.closed)} için kapı kapalı, gelenlerin beşte birinden fazlası bozuk: orada"
                         " okuyanlar son doğru sayıları görmeye devam ediyor")  # fmt: skip
        if self.warned:
            parts.append(f"incelenmesi gereken: {_named(self.warned, turkish=True)}")
        return "; ".join(parts)

    def checked(self, asset: dg.AssetKey) -> dg.AssetCheckResult:
        """Return it as the result of the gate's check."""
        return dg.AssetCheckResult(
            asset_key=asset,
            check_name=CHECK,
            passed=not self.held and not self.warned,
            severity=dg.AssetCheckSeverity.ERROR if self.closed else dg.AssetCheckSeverity.WARN,
            description=self.sentence,
            metadata={
                "held back": len(self.held),
                "to be looked at": len(self.warned),
                **({verdicts.TURKISH: self.sentence_tr} if self.sentence_tr else {}),
            },
        )


def _named(sets: Sequence[Fallen], *, turkish: bool = False) -> str:
    told = "; ".join(f"{each.label}: {', '.join(each.reasons_tr if turkish else each.reasons)}" for each in sets[:TOLD])
    more = f"; {len(sets) - TOLD} tane daha" if turkish else f"; and {len(sets) - TOLD} more"
    return told + more if len(sets) > TOLD else told


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
    told = {
        status: [Fallen(row["label"], row["reasons"], row["reasons_tr"]) for row in rows if row["status"] == status]
        for status in ("held", "warned")
    }
    return Standing(told["held"], told["warned"], list(gates.closed(connection, [feed]).values()), noun=noun)


def marks(connection: psycopg.Connection, asset: str, causes: Sequence[str]) -> list[str]:
    """Return a code for each set that stands at a gate whose check is among the causes, and for each firm for which it
    is closed: one more is news."""
    if f"test:{CHECK}" not in causes:
        return []
    feeds = [asset, *ALSO.get(asset, ())]
    sets = connection.execute(MARKS, (feeds, STANDING_MARKS)).fetchall()
    return [*(f"set:{set_id}" for (set_id,) in sets), *(f"closed:{firm}" for firm in gates.closed(connection, feeds))]


def gate(
    feed: str, *, domain: str, freshness: dg.FreshnessPolicy, asks: str
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make an asset of a function that judges a feed. `domain`: whose people are told; `asks`: what its check says.

    The check stops no run: publishing asks which firms a gate is closed for, and holds back theirs alone.
    """
    key, is_gate = dg.AssetKey(feed.split("/")), any(feed in feeds for feeds in gates.FEEDS.values())
    return dg.asset(
        key=key,
        group_name="ingestion",
        owners=[policy.owner_of(domain)],
        kinds={"postgres", "great_expectations"},
        pool=policy.Pool.border,
        tags={"domain": domain},
        freshness_policy=freshness,
        check_specs=[dg.AssetCheckSpec(CHECK, asset=key, description=f"{asks} {WAITS}" if is_gate else asks)],
    )


def look(
    feed: str,
    judge_new: Callable[..., int],
    standing_of: Callable[..., Standing],
    *,
    now: datetime,
) -> dg.MaterializeResult:
    """Judge what is new in a feed and return how it stands, as its gate does."""
    with retry.transient(), warehouse.connect() as connection:
        judged = judge_new(connection, now=now)
        found = standing_of(connection, now=now)
    return dg.MaterializeResult(
        metadata={
            "judged": judged,
            "closed for": ", ".join(found.closed) or "nobody",
            "held back": preview(found.held),
            "to be looked at": preview(found.warned),
        },
        check_results=[found.checked(dg.AssetKey(feed.split("/")))],
    )


def preview(sets: Sequence[Fallen]) -> dg.TableMetadataValue | str:
    """Return sets and reasons as a small table: what they are called, never what they hold."""
    if not sets:
        return "none"
    rows = [dg.TableRecord({"set": each.label, "why": ", ".join(each.reasons)}) for each in sets[:TOLD]]
    columns = [dg.TableColumn("set", "string"), dg.TableColumn("why", "string")]
    return dg.MetadataValue.table(rows, schema=dg.TableSchema(columns))
