"""Tables that could not be built, and tests of tables that do not hold: whose rows they are, so that nobody else's
numbers wait.

A firm whose rows break a table (`dbt_project/macros/by_firm.sql`), or are among those that a test finds, keeps its last
good numbers of the domain (`orchestration.publishing`), and reads why where it reads what its gates hold
(`crm.quarantine`). What a test finds beyond any firm, in what is the same for all, stops the domain for everybody; a
test of severity `warn` stops nobody, and is told of in the same way.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, cast
from uuid import UUID

import dagster as dg
import psycopg

from orchestration import border, verdicts, warehouse, wording

TELLS = "tells"
"""In a test's `meta`: the column whose values say what is missing, as the currency without a rate."""
TOLD = 5
"""How many of its values are told."""
STANDS = "readers there keep the last good numbers"
STANDS_TR = "orada okuyanlar son doğru sayıları görmeye devam ediyor"

UNBUILT = f"""
select q.tenant_id, t.slug, q.rules from ops.quarantine q join crm.tenant t on t.tenant_id = q.tenant_id
 where q.set_key = '{verdicts.IS_BUILT}' and q.status = 'held' and q.feed = %s order by t.slug
"""
TABLES_UNBUILT = f"select distinct feed from ops.quarantine where set_key = '{verdicts.IS_BUILT}' and status = 'held'"
WHOSE = """
select found.tenant_id, t.slug, count(*), (array_agg(distinct {tells}) filter (where {tells} is not null))[:{told}]
  from (
{sql}
  ) as found left join crm.tenant t on t.tenant_id = found.tenant_id
 group by found.tenant_id, t.slug order by t.slug
"""
CLEAR = f"""
update ops.quarantine set status = 'cleared', judged_at = %(now)s
 where feed = any(%(feeds)s) and status in ('held', 'warned') and set_key <> '{verdicts.IS_BUILT}'
   and (tenant_id, set_key) not in (select * from unnest(%(firms)s::uuid[], %(tests)s::text[]))
"""
"""Whoever builds a table clears whose rows it could not be built of."""


@dataclass(frozen=True, slots=True)
class Fallen:
    """A firm of whose rows something does not hold, and why, in English and in Turkish."""

    tenant_id: UUID
    slug: str
    why: str
    why_tr: str
    rules: Sequence[str]
    """The same as codes."""
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Failing:
    """What does not hold for some firms; a warning holds nobody back."""

    check: dg.AssetCheckKey
    asks: str
    asks_tr: str
    firms: Sequence[Fallen]
    is_warning: bool = False

    @property
    def only_waits(self) -> bool:
        """Whether a table was not built for another's sake alone."""
        return all(wording.WAITS in firm.rules for firm in self.firms)

    @property
    def said(self) -> str:
        """What does not hold for whom."""
        return f"{self.asks} Not so at {', '.join(f'{firm.slug}: {firm.why}' for firm in self.firms)}{self._stands[0]}"

    @property
    def said_tr(self) -> str:
        """The same in Turkish."""
        named = ", ".join(f"{firm.slug}: {firm.why_tr}" for firm in self.firms)
        return f"{self.asks_tr} Tutmuyor: {named}{self._stands[1]}"

    @property
    def _stands(self) -> tuple[str, str]:
        return ("", "") if self.is_warning else (f"; {STANDS}", f"; {STANDS_TR}")

    @property
    def metadata(self) -> dict[str, str]:
        """What a table's materialization tells of it (`orchestration.verdicts`)."""
        return {verdicts.FAILED: self.said, verdicts.TURKISH: self.said_tr}

    def checked(self) -> dg.AssetCheckResult:
        """Return it as the result of its check: it stops no run, and is an error to whom it concerns."""
        return dg.AssetCheckResult(
            asset_key=self.check.asset_key,
            check_name=self.check.name,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN if self.is_warning else dg.AssetCheckSeverity.ERROR,
            description=self.said,
            metadata={verdicts.TURKISH: self.said_tr},
        )


def of(test: Any, check: dg.AssetCheckKey, *, is_warning: bool = False) -> Failing | None:
    """Return the firms whose rows a failing test of dbt finds; none when it finds rows that are no firm's.

    `test`: its node, compiled; what it reads must stand as it stood when it failed.
    """
    tells = f"found.{test.meta[TELLS]}::text" if TELLS in test.meta else "null::text"
    asked = WHOSE.format(sql=test.compiled_code, tells=tells, told=TOLD)
    try:
        with warehouse.connect() as connection:
            rows = connection.execute(cast(LiteralString, asked)).fetchall()
    except psycopg.errors.UndefinedColumn:
        return None
    if not rows or any(tenant_id is None or slug is None for tenant_id, slug, _, _ in rows):
        return None
    return Failing(check, *wording.asked(test.to_dict()), [_found(check, *row) for row in rows], is_warning)


def _found(check: dg.AssetCheckKey, tenant_id: UUID, slug: str, rows: int, told: Sequence[str] | None) -> Fallen:
    missing = f" ({', '.join(told)})" if told else ""
    return Fallen(tenant_id, slug, f"{rows} rows{missing}", f"{rows} satır{missing}", [check.name], rows)


def unbuilt(table: dg.AssetKey) -> Failing | None:
    """Return of which firms' rows a table cannot be built; none when it is built of everybody's."""
    with warehouse.connect() as connection:
        rows = connection.execute(UNBUILT, (table.to_user_string(),)).fetchall()
    firms = [Fallen(firm, slug, *wording.broken(rules[0]), rules) for firm, slug, rules in rows]
    return Failing(dg.AssetCheckKey(table, verdicts.IS_BUILT), *wording.IS_BUILT, firms) if firms else None


def tables_unbuilt() -> list[str]:
    """Return the tables (`marts/fct_call`) that cannot be built of some firm's rows."""
    with warehouse.connect() as connection:
        return [feed for (feed,) in connection.execute(TABLES_UNBUILT)]


def firms(found: Sequence[Failing]) -> frozenset[UUID]:
    """Return the firms that are held back."""
    return frozenset(firm.tenant_id for each in found for firm in each.firms if not each.is_warning)


def keep(found: Sequence[Failing], assets: Collection[dg.AssetKey], *, now: datetime) -> None:
    """Write down for each firm what of some assets, all of which were built and asked, does not hold, and why; what
    holds again is cleared."""
    rows = [
        {
            "tenant_id": firm.tenant_id, "feed": each.check.asset_key.to_user_string(), "set_key": each.check.name,
            "label": f"{firm.slug}, {each.check.asset_key.path[-1]}", "day": None, "rules": list(firm.rules),
            "reasons": [f"{each.asks} Not so: {firm.why}"], "reasons_tr": [f"{each.asks_tr} Tutmuyor: {firm.why_tr}"],
            "weight": firm.rows, "status": "warned" if each.is_warning else "held", "now": now,
        }
        for each in found for firm in each.firms
    ]  # fmt: skip
    told = {"feeds": [key.to_user_string() for key in assets], "now": now}
    with warehouse.connect() as connection, connection.transaction():
        connection.cursor().executemany(border.KEEP, rows)
        kept = {"firms": [row["tenant_id"] for row in rows], "tests": [row["set_key"] for row in rows]}
        connection.execute(CLEAR, told | kept)


CLOSED_FOR = """
select distinct tenant_id from ops.quarantine where feed = %s and set_key = any(%s) and status in ('held', 'warned')
 order by 1
"""


def marks(connection: psycopg.Connection, asset: str, causes: Sequence[str]) -> list[str]:
    """Return a code for each firm for which a test of an asset among the causes does not hold: one more is news."""
    tests = [cause.removeprefix("test:") for cause in causes]
    return [f"closed:{firm}" for (firm,) in connection.execute(CLOSED_FOR, (asset, tests))]
