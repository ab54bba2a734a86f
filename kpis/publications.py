"""Which publication answers: the one that stands now, or the numbers as they were known at an instant."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from crm import errors
from crm.db import Tx
from kpis import compiler


class NotPublished(errors.Unavailable):
    """The marts are not built yet: run `santral pipeline run`."""

    code = "kpi.not-published"


class HeldBack(errors.NotFound):
    """What was known at that instant was bad, and held back: readers saw the numbers of an earlier one."""

    code = "kpi.held-back"


class NotRebuilt(errors.NotFound):
    """The numbers as of that instant are not at hand: `santral pipeline as-of` rebuilds them."""

    code = "kpi.not-rebuilt"


@dataclass(frozen=True, slots=True)
class Standing:
    """One state of the marts: the schema that holds it, and for each domain what identifies it and its instant."""

    schema: str
    domains: Mapping[str, tuple[UUID | None, datetime]]

    def as_of(self, domains: Collection[str]) -> datetime:
        """Return up to when all of some domains hold everything (UTC)."""
        return min(self.domains[name][1] for name in domains)

    def stamp(self, domains: Collection[str]) -> tuple[object, ...]:
        """Return what changes when numbers made of these domains may."""
        return (self.schema, *((name, *self.domains[name]) for name in sorted(domains)))

    def holds(self, domains: Collection[str]) -> bool:
        """Tell whether numbers made of these domains can be answered."""
        return bool(domains) and all(name in self.domains for name in domains)


async def standing(tx: Tx) -> Standing:
    """Return the publication of the transaction's tenant that stands now; no domains before the first one."""
    rows = await tx.fetch("select domain, publication_id, as_of from ops.publication")
    return Standing(compiler.READ, {row["domain"]: (row["publication_id"], row["as_of"]) for row in rows})


HELD = """
select domain, since from ops.held_back
 where domain = any($1::text[]) and since < $2::timestamptz and (until is null or until > $2::timestamptz)
 order by since, domain limit 1
"""


async def standing_at(tx: Tx, as_of: datetime | None, domains: Collection[str], *, now: datetime) -> Standing:
    """Return the state of the marts that tells what was known of some domains at an instant (UTC); None: what is known
    now.

    An instant that the standing publication of these domains has not reached yet is answered by it: nothing later is
    known.

    :raises errors.Invalid: when the instant lies in the future.
    :raises HeldBack: when the firm's numbers stood still then, because what had come in was bad.
    :raises NotRebuilt: when nobody has rebuilt the marts as of that instant.
    """
    current = await standing(tx)
    if as_of is None:
        return current
    if as_of > now:
        raise errors.Invalid("nobody knows yet what will be known then", fields={"as_of": "in the future"})
    latest = [at for name, (_, at) in current.domains.items() if name in domains]
    if latest and as_of >= max(latest):
        return current
    if held := await tx.fetchrow(HELD, list(domains), as_of):
        since = held["since"].isoformat()
        raise HeldBack(
            f"what came in by {as_of.isoformat()} was held back from the numbers of {held['domain']}; readers saw those"
            f" as of {since}: ask for that instant",
            fields={"as_of": f"held back since {since}"},
        )
    schema = await tx.fetchval(
        "select schema_name from ops.as_of where instant = $1::timestamptz and kept_until > $2::timestamptz", as_of, now
    )
    if schema is None:
        raise NotRebuilt(
            f"the numbers as of {as_of.isoformat()} are not at hand; `santral pipeline as-of` rebuilds them",
            fields={"as_of": "not rebuilt"},
        )
    return Standing(schema, dict.fromkeys(current.domains, (None, as_of)))
