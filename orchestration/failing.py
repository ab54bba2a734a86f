"""Tests of tables that do not hold: whose rows they find, so that nobody else's numbers wait.

A firm with rows among those that a test finds keeps its last good numbers of the domain (`orchestration.publishing`),
and reads why where it reads what its gates hold (`crm.quarantine`). What a test finds beyond any firm, in what is the
same for all, stops the domain for everybody.
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

WHOSE = """
select found.tenant_id, t.slug, count(*), (array_agg(distinct {tells}) filter (where {tells} is not null))[:{told}]
  from (
{sql}
  ) as found left join crm.tenant t on t.tenant_id = found.tenant_id
 group by found.tenant_id, t.slug order by t.slug
"""
CLEAR = """
update ops.quarantine set status = 'cleared', judged_at = %(now)s
 where feed = any(%(feeds)s) and status = 'held'
   and (tenant_id, set_key) not in (select * from unnest(%(firms)s::uuid[], %(tests)s::text[]))
"""


@dataclass(frozen=True, slots=True)
class Fallen:
    """A firm with rows that a test finds. `told`: what is missing there, as far as the test can say."""

    tenant_id: UUID
    slug: str
    rows: int
    told: Sequence[str] = ()

    @property
    def why(self) -> str:
        """How many rows, and what is missing."""
        return f"{self.rows} rows" + self._missing

    @property
    def why_tr(self) -> str:
        """The same in Turkish."""
        return f"{self.rows} satır" + self._missing

    @property
    def _missing(self) -> str:
        return f" ({', '.join(self.told)})" if self.told else ""


@dataclass(frozen=True, slots=True)
class Failing:
    """A test that does not hold for some firms."""

    check: dg.AssetCheckKey
    asks: str
    asks_tr: str
    firms: Sequence[Fallen]

    def checked(self) -> dg.AssetCheckResult:
        """Return it as the result of its check: it stops no run, and is an error to whom it concerns."""
        named = ", ".join(f"{firm.slug}: {firm.why}" for firm in self.firms)
        named_tr = ", ".join(f"{firm.slug}: {firm.why_tr}" for firm in self.firms)
        return dg.AssetCheckResult(
            asset_key=self.check.asset_key,
            check_name=self.check.name,
            passed=False,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{self.asks} Not so at {named}; {STANDS}",
            metadata={verdicts.TURKISH: f"{self.asks_tr} Tutmuyor: {named_tr}; {STANDS_TR}"},
        )


def of(test: Any, check: dg.AssetCheckKey) -> Failing | None:
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
    asks, asks_tr = wording.asked(test.to_dict())
    return Failing(check, asks, asks_tr, [Fallen(firm, slug, count, told or ()) for firm, slug, count, told in rows])


def firms(found: Sequence[Failing]) -> frozenset[UUID]:
    """Return the firms for which a test does not hold."""
    return frozenset(firm.tenant_id for each in found for firm in each.firms)


def keep(found: Sequence[Failing], assets: Collection[dg.AssetKey], *, now: datetime) -> None:
    """Write down for each firm which tests of some assets, all of which were asked, do not hold, and why; what holds
    again is cleared."""
    rows = [
        {
            "tenant_id": firm.tenant_id, "feed": each.check.asset_key.to_user_string(), "set_key": each.check.name,
            "label": f"{firm.slug}, {each.check.asset_key.path[-1]}", "day": None, "rules": [each.check.name],
            "reasons": [f"{each.asks} Not so: {firm.why}"], "reasons_tr": [f"{each.asks_tr} Tutmuyor: {firm.why_tr}"],
            "weight": firm.rows, "status": "held", "now": now,
        }
        for each in found for firm in each.firms
    ]  # fmt: skip
    told = {"feeds": [key.to_user_string() for key in assets], "now": now}
    with warehouse.connect() as connection, connection.transaction():
        connection.cursor().executemany(border.KEEP, rows)
        kept = {"firms": [row["tenant_id"] for row in rows], "tests": [row["set_key"] for row in rows]}
        connection.execute(CLEAR, told | kept)


CLOSED_FOR = """
select distinct tenant_id from ops.quarantine where feed = %s and set_key = any(%s) and status = 'held' order by 1
"""


def marks(connection: psycopg.Connection, asset: str, causes: Sequence[str]) -> list[str]:
    """Return a code for each firm for which a test of an asset among the causes does not hold: one more is news."""
    tests = [cause.removeprefix("test:") for cause in causes]
    return [f"closed:{firm}" for (firm,) in connection.execute(CLOSED_FOR, (asset, tests))]
